/** Finds members of a JSON object by name or path, as byte ranges. A requested name must occur once. */
import { asBuffer } from '../escape.ts'
import { isContainer, NOT_JSON, walkArray, walkObject } from './json-scan.ts'

/** Bytes [from, to). */
export interface Place {
  from: number
  to: number
}

/** `count`: how often the name occurs. The place is that of the last one. */
export interface WantedMember extends Place {
  readonly name: string
  readonly nameBytes: Uint8Array
  count: number
}

export function wantedMember(name: string): WantedMember {
  return { name, nameBytes: Buffer.from(name), count: 0, from: 0, to: 0 }
}

export class MemberSearch {
  members = 0
  readonly #wanted: readonly WantedMember[]
  #bytes: Uint8Array = new Uint8Array(0)
  readonly #member = (nameFrom: number, nameTo: number, from: number, to: number): void => {
    this.members++
    for (const wanted of this.#wanted) {
      if (!isName(this.#bytes, nameFrom, nameTo, wanted)) continue
      wanted.count++
      wanted.from = from
      wanted.to = to
    }
  }

  constructor(wanted: readonly WantedMember[]) {
    this.#wanted = wanted
  }

  /** Returns the end of the object, or an error of `walkObject`. */
  search(bytes: Uint8Array, at: number, end: number): number {
    this.#bytes = bytes
    this.members = 0
    for (const wanted of this.#wanted) wanted.count = 0
    const to = walkObject(bytes, at, end, this.#member)
    this.#bytes = new Uint8Array(0)
    return to
  }
}

/** Undefined if there is none; an error text if a name occurs twice. */
export function placeBelow(bytes: Uint8Array, place: Place, path: readonly string[]): Place | string | undefined {
  let { from, to } = place
  for (const name of path) {
    if (!isContainer(bytes[from])) return undefined
    const wanted = wantedMember(name)
    if (bytes[from] === 0x7b) new MemberSearch([wanted]).search(bytes, from, to)
    else {
      const index = /^(?:0|[1-9]\d{0,14})$/.test(name) ? Number(name) : NOT_JSON
      walkArray(bytes, from, to, (i, elementFrom, elementTo) => {
        if (i !== index) return
        wanted.count++
        wanted.from = elementFrom
        wanted.to = elementTo
      })
    }
    if (wanted.count === 0) return undefined
    if (wanted.count > 1) return twice(name)
    ;({ from, to } = wanted)
  }
  return { from, to }
}

export function twice(name: string): string {
  return `the field ${JSON.stringify(name)} occurs twice, so it is ambiguous`
}

/** The written name may have escapes. */
function isName(bytes: Uint8Array, from: number, to: number, wanted: WantedMember): boolean {
  const name = wanted.nameBytes
  let same = 0
  while (same < name.length && from + same < to && bytes[from + same] === name[same]) same++
  if (from + same === to) return same === name.length
  // Only an escape can still make them equal.
  for (let at = from + same; at < to; at++) {
    if (bytes[at] === 0x5c) return JSON.parse(asBuffer(bytes).toString('utf8', from - 1, to + 1)) === wanted.name
  }
  return false
}

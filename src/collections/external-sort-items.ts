/**
 * Encodes items of a sort: a key in sort order, and the item itself where the key does not hold it.
 *
 * Invariants
 * 1. Without `by` and `encoding` an item is its own key, stored once; so are text and bytes.
 * 2. Without `encoding`, items that can be keys keep their type: JSON would not.
 *
 * Account: `sort items`.
 */
import { types } from 'node:util'
import { invalidArgument } from '../base/errors.ts'
import { isBytes } from '../base/realms.ts'
import { EMPTY } from '../base/cursor.ts'
import type { CompareRanges, KeyOrder } from '../pages/paged-merge.ts'
import { Scratch, textOf, transcoder } from '../encoding/encoding.ts'
import type { Encoding, Transcoder } from '../encoding/encoding.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { KeyEncoder, compareDecoded, decodeKey } from './key-order.ts'
import { anyValue } from './spill-map-values.ts'
import type { SpillSpace } from './spill-space.ts'
import { maxTextBytes, readText, writeText } from './wide-text.ts'

export interface ItemOptions<T> {
  by?: ((item: T) => unknown) | undefined
  reverse?: boolean | undefined
  encoding?: Encoding<T> | undefined
  compare?: ((a: any, b: any) => number) | undefined
}

const SCRATCH_BYTES = 16 * 1024

const utf8 = transcoder('utf8', 'encoding')

const wideText: Transcoder = {
  name: 'utf8',
  encode(value, scratch) {
    try {
      utf8.encode(value, scratch)
    } catch (error) {
      if (typeof value !== 'string' || value.isWellFormed()) throw error
      const bytes = Buffer.allocUnsafe(maxTextBytes(value))
      scratch.use(bytes.subarray(0, writeText(value, bytes, 0)))
    }
  },
  decode(bytes, start, end) { return readText(bytes, start, end, textOf(bytes, start, end)) },
  decodeLarge(value) {
    const bytes = value.bytes()
    return this.decode(bytes, 0, bytes.length)
  },
}

export class ItemCodec<T> {
  readonly #options: ItemOptions<T>
  readonly #keys = new KeyEncoder()
  readonly #scratch = new Scratch(SCRATCH_BYTES)
  #transcoder: Transcoder | undefined
  /** The encoded item is its key. */
  #isItsKey = false
  /** The encoded key is the item. */
  #isKeyOnly = false
  #items = 0

  constructor(options: ItemOptions<T>, space: SpillSpace) {
    this.#options = options
    if (options.encoding !== undefined) this.#use(transcoder(options.encoding, 'encoding'))
    space.hold('sort items', SCRATCH_BYTES)
  }

  /** The first item decides the default encoding. */
  order(first: T): KeyOrder {
    const { reverse = false, compare, by } = this.#options
    if (this.#transcoder === undefined) {
      this.#use(transcoderFor(first))
      this.#isKeyOnly = by === undefined && compare === undefined && !this.#isItsKey
    }
    if (compare === undefined) return { reverse }
    return { reverse, compare: by === undefined ? this.#compareItems(compare) : compareDecoded(compare as never) }
  }

  /** False when the arena is full. */
  add(engine: SortEngine, item: T): boolean {
    const scratch = this.#scratch
    const keys = this.#keys
    let added: boolean
    if (this.#isKeyOnly) {
      keys.encode(item)
      added = engine.add(keys.bytes, 0, keys.length, EMPTY, 0, 0)
      if (added) this.#items++
      return added
    }
    this.#encode(item)
    if (this.#isItsKey) {
      added = engine.add(scratch.bytes, scratch.start, scratch.end, EMPTY, 0, 0)
    } else {
      const { by } = this.#options
      keys.encode(by === undefined ? item : by(item))
      added = engine.add(keys.bytes, 0, keys.length, scratch.bytes, scratch.start, scratch.end)
    }
    if (added) this.#items++
    return added
  }

  /** Empty at the end. */
  batch(engine: SortEngine, maxItems: number, maxBytes: number): T[] {
    const items: T[] = []
    let bytes = 0
    while (items.length < maxItems && bytes < maxBytes && engine.next()) {
      items.push(this.item(engine))
      bytes += engine.valueEnd - engine.keyStart
    }
    return items
  }

  item(engine: SortEngine): T {
    if (this.#isKeyOnly) return decodeKey(engine.bytes, engine.keyStart, engine.keyEnd) as T
    return this.#isItsKey
      ? this.#transcoder!.decode(engine.bytes, engine.keyStart, engine.keyEnd) as T
      : this.#transcoder!.decode(engine.bytes, engine.valueStart, engine.valueEnd) as T
  }

  #use(found: Transcoder): void {
    this.#transcoder = found
    const { by, compare } = this.#options
    this.#isItsKey = by === undefined && ((found.name !== 'json' && found !== anyValue) || compare !== undefined)
  }

  #encode(item: T): void {
    const name = this.#transcoder!.name
    // A number among strings would come back as text.
    if (this.#options.encoding === undefined && (name === 'utf8' || name === 'buffer') && (name === 'utf8') !== (typeof item === 'string')) {
      throw invalidArgument(
        `item ${this.#items} is ${typeof item === 'object' ? 'an object' : `a ${typeof item}`}, but the first item set the encoding '${name}'. `
        + `Pass encoding: 'json' for items of several types`,
      )
    }
    this.#transcoder!.encode(item, this.#scratch)
  }

  #compareItems(compare: (a: any, b: any) => number): CompareRanges {
    const decoder = this.#transcoder!
    return (a, aStart, aEnd, b, bStart, bEnd) => {
      const order = compare(decoder.decode(a, aStart, aEnd), decoder.decode(b, bStart, bEnd))
      if (typeof order !== 'number' || Number.isNaN(order)) throw invalidArgument(`compare must return a number, not ${String(order)}`)
      return order
    }
  }
}

function transcoderFor(first: unknown): Transcoder {
  if (typeof first === 'string') return wideText
  if (isBytes(first)) return transcoder('buffer', 'encoding')
  return typeof first === 'object' && first !== null && !types.isDate(first) ? transcoder('json', 'encoding') : anyValue
}

/** Checks option names, with a suggestion for a misspelt one. */
import { invalidArgument } from './errors.ts'

/** More edits than this make another word. */
const MAX_EDITS = 2

/** They would pass for `{}`, which means "all" in a range. */
const NOT_OPTIONS = /^\[object (?:Array|Map|Set|WeakMap|WeakSet|Date|RegExp|Promise|ArrayBuffer|SharedArrayBuffer|DataView|\w+Array|Error)\]$/

/** Throws INVALID_ARGUMENT for a value that is no options object, and for an unknown option. */
export function checkOptions(options: object | undefined, known: readonly string[], where: string): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw invalidArgument(`${where}: options must be an object, not ${shown(options)}`)
  let count = 0
  for (const name in options) {
    if (!known.includes(name)) throw unknownOption(name, known, `${where} has no option`, options)
    count++
  }
  if (count === 0) {
    const tag = Object.prototype.toString.call(options)
    if (NOT_OPTIONS.test(tag)) throw invalidArgument(`${where}: options must be an object such as { ${known[0]}: ... }, not ${tag.slice(8, -1)}`)
  }
}

/** `what`: "put has no option". */
export function unknownOption(name: string, known: readonly string[], what: string, options?: object): Error {
  const near = nearName(name, options === undefined ? known : known.filter(other => !Object.hasOwn(options, other)))
  const hint = near === undefined ? '' : `. Did you mean "${near}"?`
  return invalidArgument(`${what} "${name}"; it has ${known.join(', ')}${hint}`, { option: name, known, ...(near === undefined ? {} : { near }) })
}

export function nearName(name: string, known: readonly string[]): string | undefined {
  const given = name.toLowerCase()
  // A larger part of a short name must match.
  const limit = Math.min(MAX_EDITS, Math.floor((given.length - 1) / 2)) + 1
  let best: string | undefined
  let bestRank = Infinity
  for (const other of known) {
    const edits = editsBetween(given, other.toLowerCase(), limit)
    // A transposition is likelier than a missing letter: "get" is gte, not gt.
    const rank = 2 * edits + (other.length === given.length ? 0 : 1)
    if (edits >= limit || rank >= bestRank) continue
    best = other
    bestRank = rank
  }
  return best
}

/** Insertions, deletions, replacements and transpositions; at most `limit`. */
function editsBetween(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    before = row
    row = next
  }
  return Math.min(limit, row[b.length]!)
}

function shown(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'string' ? `the string ${JSON.stringify(value.slice(0, 40))}` : `a ${typeof value}`
}

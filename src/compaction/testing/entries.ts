/** Versions as plain objects, a cursor over a sorted array of them, and by definition what a reader sees and what a merge keeps. */
import fc from 'fast-check'
import { compareBytes, compareKeys } from '../../base/bytes.ts'
import { EMPTY, KIND_DELETE, KIND_PUT, MAX_SEQ } from '../../base/cursor.ts'
import type { Cursor, RangeTombstone } from '../../base/cursor.ts'
import { sortEntries } from '../../table/testing/model.ts'
import type { Entry } from '../../table/testing/model.ts'
import type { OutsideTable } from '../tombstone-elision.ts'

export class ArrayCursor implements Cursor {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly #entries: readonly Entry[]
  #at = 0

  constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  seekToFirst(): void { this.#show(0) }
  seekToLast(): void { this.#show(this.#entries.length - 1) }
  seek(key: Uint8Array, start: number, end: number): void { this.#show(this.#lowerBound(key, start, end)) }
  seekBefore(key: Uint8Array, start: number, end: number): void { this.#show(this.#lowerBound(key, start, end) - 1) }
  next(): void { this.#show(this.#at + 1) }
  prev(): void { this.#show(this.#at - 1) }

  #lowerBound(key: Uint8Array, start: number, end: number): number {
    const at = this.#entries.findIndex(entry => compareBytes(entry.key, 0, entry.key.length, key, start, end) >= 0)
    return at < 0 ? this.#entries.length : at
  }

  #show(at: number): void {
    this.#at = at
    const entry = this.#entries[at]
    this.valid = entry !== undefined
    if (entry === undefined) return
    // Views that hold no longer than they must: a copy somewhere inside a larger array, another one for every entry.
    const key = new Uint8Array(entry.key.length + 2).fill(0xee)
    key.set(entry.key, 1)
    this.key = key
    this.keyStart = 1
    this.keyEnd = 1 + entry.key.length
    this.seq = entry.seq
    this.kind = entry.kind
    this.value = entry.value
    this.valueEnd = entry.value.length
  }
}

/** Everything that was written: point versions and range tombstones, in some table each. */
export interface TableHistory {
  entries: Entry[]
  ranges: RangeTombstone[]
}

export interface History {
  /** In table 0 what is merged, the others lie outside. */
  tables: TableHistory[]
  /** Ascending. */
  snapshots: number[]
}

export const LAST_KEY = 7

export function keyOf(i: number): Uint8Array {
  return Uint8Array.of(i)
}

/** Histories over keys of one byte, 0 to LAST_KEY, with few sequence numbers, each used once. */
export const histories: fc.Arbitrary<History> = fc.record({
  writes: fc.array(fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'delete', 'range'),
    from: fc.nat(LAST_KEY), width: fc.integer({ min: 1, max: 5 }), table: fc.constantFrom(0, 0, 0, 1, 2),
  }), { maxLength: 24 }),
  snapshots: fc.uniqueArray(fc.nat(26), { maxLength: 4 }),
}).map(({ writes, snapshots }) => {
  const tables: History['tables'] = [0, 1, 2].map(() => ({ entries: [], ranges: [] }))
  writes.forEach(({ kind, from, width, table }, i) => {
    const seq = i + 1
    const { entries, ranges } = tables[table]!
    if (kind === 'range') ranges.push({ start: keyOf(from), end: keyOf(from + width), seq })
    else if (kind === 'put') entries.push({ key: keyOf(from), seq, kind: KIND_PUT, value: Uint8Array.of(seq) })
    else entries.push({ key: keyOf(from), seq, kind: KIND_DELETE, value: EMPTY })
  })
  for (const table of tables) table.entries = sortEntries(table.entries)
  return { tables, snapshots: snapshots.sort((a, b) => a - b) }
})

/** What the store says of the tables outside. */
export function outsideOf({ tables }: History): OutsideTable[] {
  return tables.slice(1).filter(({ entries }) => entries.length > 0).map(({ entries, ranges }) => ({
    firstKey: entries[0]!.key, lastKey: entries.at(-1)!.key, minSeq: Math.min(...[...entries, ...ranges].map(({ seq }) => seq)),
  }))
}

/** Sequence number of the version that a reader at `snapshot` sees; 0 = none. */
export function visible(entries: readonly Entry[], ranges: readonly RangeTombstone[], key: Uint8Array, snapshot: number): number {
  let newest: Entry | undefined
  for (const entry of entries) {
    if (entry.seq <= snapshot && compareKeys(entry.key, key) === 0 && (newest === undefined || entry.seq > newest.seq)) newest = entry
  }
  if (newest === undefined || newest.kind === KIND_DELETE) return 0
  return ranges.some(range => range.seq <= snapshot && range.seq > newest.seq && covers(range, key)) ? 0 : newest.seq
}

export function covers({ start, end }: RangeTombstone, key: Uint8Array): boolean {
  return compareKeys(start, key) <= 0 && compareKeys(key, end) < 0
}

/** A cursor over several tables. */
export function visibleIn(tables: readonly TableHistory[], key: Uint8Array, snapshot: number): number {
  return visible(tables.flatMap(({ entries }) => entries), tables.flatMap(({ ranges }) => ranges), key, snapshot)
}

export function isWithin(key: Uint8Array, { firstKey, lastKey }: OutsideTable): boolean {
  return compareKeys(firstKey, key) <= 0 && compareKeys(key, lastKey) <= 0
}

/** How many snapshots are too old to see it. */
export function stripeOf(snapshots: readonly number[], seq: number): number {
  return snapshots.filter(snapshot => snapshot < seq).length
}

/** The rules of `retention.ts`, word for word. */
export function mustKeep(
  entry: Entry, { entries, ranges }: TableHistory, snapshots: readonly number[], outside: readonly OutsideTable[] | undefined,
): boolean {
  const stripe = stripeOf(snapshots, entry.seq)
  const isHidden = ({ seq }: { seq: number }): boolean => seq > entry.seq && stripeOf(snapshots, seq) === stripe
  if (entries.some(other => isHidden(other) && compareKeys(other.key, entry.key) === 0)) return false
  if (ranges.some(range => isHidden(range) && covers(range, entry.key))) return false
  if (entry.kind !== KIND_DELETE || stripe > 0 || outside === undefined) return true
  return outside.some(table => table.minSeq < entry.seq && isWithin(entry.key, table))
}

/** Sequence numbers of readers: every snapshot, and now. */
export function readersOf({ snapshots }: History): number[] {
  return [...snapshots, MAX_SEQ]
}

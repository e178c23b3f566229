/**
 * The next entries of an iterator as JavaScript values: packed rows where possible, else entry by entry.
 *
 * Invariants
 * 1. Returned values share no memory with the store.
 * 2. After an error the iterator is where it was before. Entries before one that cannot be decoded are returned first.
 *
 * Account: none; the caller leases the entries and limits their size. Cost: an array for each entry with key and value, and the
 * allocations of the decoders.
 */
import type { StoreState } from '../state/store-state.ts'
import { EncodingError, ofKey } from '../../encoding/encoding-error.ts'
import { entryBytes, reportExternalBytes, rowShape } from './decoded-size.ts'
import type { IteratorPosition } from './iterator-position.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import { youngPair } from '../../base/v8/unpretenured-arrays.ts'
import { FILL_BY_ENTRY, FILL_PAUSED, LAST, MORE, REFUSE } from './range-scanner.ts'
import type { RangeScanner } from './range-scanner.ts'
import type { RowShape } from './kernel-scan.ts'
import { decodeValue, valueLength } from '../read/point-reader.ts'
import { takeRows } from './row-decoder.ts'
import type { EntryScan } from './entry-scan.ts'

export class EntryReader {
  /** Decoded bytes of the entries of the last call. */
  takenBytes = 0
  /** Decoded bytes of one entry, in the last call that found any. */
  entryBytes = 512
  readonly #core: StoreState
  readonly #plan: IteratorPlan
  readonly #place: IteratorPosition
  readonly #walk: RangeScanner
  readonly #row: RowShape | undefined

  constructor(core: StoreState, plan: IteratorPlan, place: IteratorPosition, walk: RangeScanner) {
    this.#core = core
    this.#plan = plan
    this.#place = place
    this.#walk = walk
    this.#row = rowShape(plan)
  }

  /**
   * Up to `entries` entries with `bytes` of keys and values that fit into `roomBytes` when decoded (the first always). None: the
   * range is exhausted or the walk has paused. With finite `roomBytes` there may be more.
   */
  read(entries: number, bytes: number, roomBytes: number): unknown[] {
    const place = this.#place
    const walk = this.#walk
    const before = place.standing()
    let chunk: unknown[] = []
    this.takenBytes = 0
    try {
      while (chunk.length < entries && !place.isDone) {
        if (place.left <= 0) {
          walk.finish()
          break
        }
        const some = this.#row === undefined ? FILL_BY_ENTRY : this.#readRows(this.#row, entries - chunk.length, roomBytes)
        if (some === FILL_PAUSED) break
        if (typeof some === 'number') {
          // While rows may be possible again soon.
          const few = this.#row === undefined || roomBytes !== Infinity ? Infinity : walk.patientRows
          if (!this.#readEntries(chunk, Math.min(entries, chunk.length + few), bytes, roomBytes)) break
        } else if (chunk.length === 0) {
          chunk = some
        } else {
          for (let i = 0; i < some.length; i++) chunk.push(some[i])
        }
        if (roomBytes !== Infinity && chunk.length > 0) break
      }
    } catch (error) {
      throw walk.goBack(before, error)
    }
    if (chunk.length > 0) this.entryBytes = Math.ceil(this.takenBytes / chunk.length)
    return chunk
  }

  /** Many at once, or why there are none, see `RangeScanner.fill`. */
  #readRows(row: RowShape, entries: number, roomBytes: number): unknown[] | number {
    const walk = this.#walk
    const plan = this.#plan
    const { host } = this.#core
    const result = walk.fill(Math.min(entries, this.#place.left), roomBytes, row)
    if (result < 0) return result
    const { kernel } = walk
    // At once: the rows lie where blocks are loaded.
    let some: unknown[]
    try {
      some = takeRows(kernel, plan.keys, plan.values, host)
    } catch (error) {
      if (!(error instanceof EncodingError)) throw error
      // Read the entries before the undecodable one one by one.
      return walk.giveUpRows()
    }
    this.takenBytes += kernel.takenBytes
    reportExternalBytes(plan, host, kernel.rows, kernel.keyBytes, kernel.valueBytes)
    walk.pass(result)
    return some
  }

  /** Read one by one until `chunk` has `entries`. False: the next one cannot be decoded, an error only if it is the first. */
  #readEntries(chunk: unknown[], entries: number, bytes: number, roomBytes: number): boolean {
    const core = this.#core
    const { keys, values } = this.#plan
    const before = chunk.length
    let read = 0
    let keyBytes = 0
    let isReadable = true
    this.#walk.each(scan => {
      const valueBytes = values === undefined ? 0 : valueLength(scan.kind, scan.value, scan.valueStart, scan.valueEnd)
      const decodedBytes = entryBytes(keys, scan.keyLength, values, valueBytes)
      if (chunk.length > 0 && this.takenBytes + decodedBytes > roomBytes) return REFUSE
      let entry: unknown
      try {
        entry = this.#decode(scan)
      } catch (error) {
        if (chunk.length === 0 || !(error instanceof EncodingError)) throw error
        isReadable = false
        return REFUSE
      }
      chunk.push(entry)
      this.takenBytes += decodedBytes
      keyBytes += scan.keyLength
      read += scan.keyLength + valueBytes
      return chunk.length < entries && read < bytes ? MORE : LAST
    })
    reportExternalBytes(this.#plan, core.host, chunk.length - before, keyBytes, read - keyBytes)
    return isReadable
  }

  #decode(scan: EntryScan): unknown {
    const { keys, values } = this.#plan
    let part: 'key' | 'value' = 'value'
    try {
      // The value first: it may be a view that a user's codec invalidates.
      const value = values === undefined ? undefined : decodeValue(this.#core, values, scan.kind, scan.value, scan.valueStart, scan.valueEnd)
      if (keys === undefined) return value
      part = 'key'
      const key = keys.decode(scan.key, 0, scan.keyLength)
      return values === undefined ? key : youngPair(key, value)
    } catch (error) {
      throw ofKey(error, part, error instanceof EncodingError ? scan.key.slice(0, scan.keyLength) : undefined)
    }
  }
}

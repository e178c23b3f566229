/**
 * The keys a transaction has read for update: few in memory, many in staged tables.
 *
 * Account: `transactions` for those in memory, at most 16 KiB; tables as in `staged-tables.ts`.
 */
import { compareBytes } from '../../base/bytes.ts'
import { EMPTY, KIND_DELETE, MAX_SEQ } from '../../base/cursor.ts'
import type { Lease } from '../../memory/budget.ts'
import type { StagedTables } from '../staged/staged-tables.ts'
import { copyOf } from '../../encoding/encoding.ts'
import { PointReader } from '../read/point-reader.ts'

const MAX_BYTES = 16 * 1024
/** The array, and its slot in the list. */
const KEY_BYTES = 120

export class ReadSet {
  readonly #lease: Lease
  readonly #makeTables: () => StagedTables
  #keys: Uint8Array[] = []
  #bytes = 0
  tables: StagedTables | undefined
  #reader: PointReader | undefined

  /** `lease` is resized here and released by its owner. */
  constructor(lease: Lease, makeTables: () => StagedTables) {
    this.#lease = lease
    this.#makeTables = makeTables
  }

  get isEmpty(): boolean { return this.#keys.length === 0 && this.tables === undefined }
  /** Those in memory. */
  get keys(): readonly Uint8Array[] { return this.#keys }

  /** Remember a key. False: no memory now. */
  tryAdd(key: Uint8Array, start: number, end: number): boolean {
    if (this.has(key, start, end)) return true
    if (this.tables === undefined) {
      const bytes = this.#bytes + KEY_BYTES + end - start
      if (bytes <= MAX_BYTES && this.#lease.resize(bytes)) {
        this.#keys.push(copyOf(key, start, end))
        this.#bytes = bytes
        return true
      }
      this.tables = this.#makeTables()
      this.#reader = new PointReader(this.tables, this.tables.engine.reading.blocks)
    }
    return this.tables.tryWrite(KIND_DELETE, key, start, end, EMPTY, 0, 0)
  }

  has(key: Uint8Array, start: number, end: number): boolean {
    for (const one of this.#keys) if (one.length === end - start && compareBytes(one, 0, one.length, key, start, end) === 0) return true
    if (this.#reader === undefined) return false
    this.#reader.find(key, start, end, MAX_SEQ)
    return this.#reader.touched
  }
}

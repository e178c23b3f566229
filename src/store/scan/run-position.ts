/**
 * A position in one run: in its current table.
 *
 * Invariant: while valid, its block was the last one loaded when it moved there.
 *
 * Account: `iterators`, of its owner. Cost: an object per table.
 */
import { lowerTable } from '../../compaction/run-cursor.ts'
import type { CachedBlocks } from '../../table/block/block-source.ts'
import { TablePosition } from '../../table/table-position.ts'
import type { TableReader } from '../../table/table-reader.ts'

export class RunPosition {
  valid = false
  place: TablePosition | undefined
  readonly #tables: readonly TableReader[]
  readonly #bypassesCache: boolean
  #at = -1

  /** `bypassesCache`: does not change the cache. */
  constructor(tables: readonly TableReader[], bypassesCache: boolean) {
    this.#tables = tables
    this.#bypassesCache = bypassesCache
  }

  seek(blocks: CachedBlocks, key: Uint8Array | undefined): void {
    this.valid = false
    const at = key === undefined ? 0 : lowerTable(this.#tables, key, 0, key.length)
    const place = this.#enter(at)
    if (place === undefined) return
    this.valid = key === undefined ? place.first(blocks) : place.seek(blocks, key, 0, key.length)
    if (!this.valid) this.#nextTable(blocks)
  }

  /** `passes`: do not cache the block. */
  nextBlock(blocks: CachedBlocks, passes: boolean): void {
    this.valid = false
    if (this.place!.nextBlock(blocks, passes)) this.valid = true
    else this.#nextTable(blocks)
  }

  #nextTable(blocks: CachedBlocks): void {
    while (!this.valid) {
      const place = this.#enter(this.#at + 1)
      if (place === undefined) return
      this.valid = place.first(blocks)
    }
  }

  #enter(at: number): TablePosition | undefined {
    if (at !== this.#at || this.place === undefined) {
      const goesOn = at === this.#at + 1 && this.place?.passes === true
      this.#at = at
      const table = this.#tables[at]
      this.place = table === undefined ? undefined : new TablePosition(table, this.#bypassesCache || goesOn)
    }
    return this.place
  }
}

/**
 * Blocks of tables that a merge made, put into the cache before anybody asks for them: those of its inputs were dropped from there, and
 * the first to read each would wait for it.
 *
 * It is done in short steps, between the turns of the event loop and, for readers who leave it none, between their reads.
 *
 * Invariants
 * 1. No block is dropped from the cache for it: only memory that is free is used, or that blocks of the inputs gave back.
 * 2. A step takes about STEP_MS of the thread, and a PAUSE_MS follows. Where reading takes much longer it ends.
 * 3. An error ends it, and is no error here: whoever reads the block is told.
 *
 * Account: `block cache`, for the blocks. Cost: reading, checking and copying each block, some 10 microseconds; nodes of the index on the way count
 * as a reader's.
 */
import type { Disposer, Host } from '../../host/host.ts'
import type { CachedBlocks } from '../../table/block/block-source.ts'
import { FEW_HANDLES, IndexPath } from '../../table/index/index-path.ts'
import type { TableReader } from '../../table/table-reader.ts'

const STEP_MS = 1
const PAUSE_MS = 3
/** Blocks that take so long between two looks at the clock come from a device: they are left to who needs them. */
const LONG_MS = 8
/** One read of the file for so much. */
const AHEAD_BYTES = 64 * 1024
/** Blocks between two looks at the clock. */
const BLOCKS_PER_LOOK = 16

/** A table, and about what its blocks take in the cache. */
export interface Warmed {
  readonly table: TableReader
  readonly bytes: number
}

export class CacheWarmer {
  readonly #host: Host
  readonly #blocks: CachedBlocks
  readonly #makeRoom: (bytes: number) => void
  /** What is to come, the next one first; of the first, where it has got to. */
  #tables: Warmed[] = []
  /** Bytes of their blocks, those of the first one counted whole. */
  #pendingBytes = 0
  #path: IndexPath | undefined
  /** Of the filter that was the last. */
  #filterOffset = -1
  #steppedMs = 0
  #cancel: Disposer | undefined

  /** `makeRoom`: asked for so much memory that nobody uses when too little is free. */
  constructor(host: Host, blocks: CachedBlocks, makeRoom: (bytes: number) => void) {
    this.#host = host
    this.#blocks = blocks
    this.#makeRoom = makeRoom
  }

  /** There is something to do: call `step` now and then, if the event loop may have no turn. */
  get isBusy(): boolean { return this.#tables.length > 0 }

  /**
   * These too, in this order, unless there is no room for all of them; `lentBytes`: what `makeRoom` would find. They must be given to `drop` before
   * they are closed.
   */
  add(tables: readonly Warmed[], lentBytes: number): void {
    const { cache } = this.#blocks
    const bytes = tables.reduce((total, table) => total + table.bytes, 0)
    if (cache.roomBytes + lentBytes < this.#pendingBytes + bytes + cache.muchBytes) return
    this.#pendingBytes += bytes
    if (!this.isBusy) this.#steppedMs = this.#host.clock.nowMs()
    this.#tables.push(...tables)
    this.#arm()
  }

  drop(table: TableReader): void {
    const i = this.#tables.findIndex(warmed => warmed.table === table)
    if (i === -1) return
    if (i === 0) this.#path = undefined
    this.#pendingBytes -= this.#tables[i]!.bytes
    this.#tables.splice(i, 1)
  }

  /** A step, if it is time for one. Not in the middle of a read: what that holds of the cache may move. */
  step(): void {
    if (!this.isBusy) return
    const { clock } = this.#host
    const startedMs = clock.nowMs()
    if (startedMs - this.#steppedMs < PAUSE_MS) return
    try {
      for (let nowMs = startedMs; this.isBusy && nowMs - startedMs < STEP_MS;) {
        const beforeMs = nowMs
        const hasRoom = this.#warmSome()
        nowMs = clock.nowMs()
        if (!hasRoom || nowMs - beforeMs >= LONG_MS) this.close()
      }
    } catch {
      this.close()
    }
    this.#steppedMs = clock.nowMs()
  }

  /** Forget what is to come. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#tables = []
    this.#pendingBytes = 0
    this.#path = undefined
  }

  /** A few blocks. False: there is no room for more. */
  #warmSome(): boolean {
    const blocks = this.#blocks
    const { table } = this.#tables[0]!
    const shortBytes = (): number => blocks.cache.muchBytes - blocks.cache.roomBytes
    if (shortBytes() > 0) this.#makeRoom(shortBytes())
    if (shortBytes() > 0) return false
    let path = this.#path
    let isThere = path !== undefined
    if (path === undefined) {
      this.#path = path = new IndexPath(table, FEW_HANDLES)
      this.#filterOffset = -1
      isThere = path.first(blocks)
    }
    for (let i = 0; isThere && i < BLOCKS_PER_LOOK; i++) {
      if (path.filterBytes > 0 && path.filterOffset !== this.#filterOffset) {
        if (!blocks.warm(table, path.filterOffset, path.filterBytes, 0)) return false
        this.#filterOffset = path.filterOffset
      }
      if (!blocks.warm(table, path.blockOffset, path.blockBytes, AHEAD_BYTES)) return false
      isThere = path.next(blocks)
    }
    if (!isThere) this.drop(table)
    return true
  }

  #arm(): void {
    if (this.#cancel !== undefined || !this.isBusy) return
    this.#cancel = this.#host.scheduler.later(PAUSE_MS, () => {
      this.#cancel = undefined
      this.step()
      this.#arm()
    }, true)
  }
}

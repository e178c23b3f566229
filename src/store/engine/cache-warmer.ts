/**
 * Loads blocks of a merge's output into the cache before they are read: the blocks of its inputs were just dropped from it.
 *
 * It works in short steps between turns of the event loop, or between the reads of callers that never yield.
 *
 * Invariants
 * 1. No block is evicted for it: it uses only free memory, including that of the dropped inputs.
 * 2. A step takes about STEP_MS of the thread and is followed by a pause of PAUSE_MS. Slow reads end it.
 * 3. An error ends it silently: a read of that block reports it.
 *
 * Account: `block cache`. Cost: reading, checking and copying each block, some 10 microseconds.
 */
import type { Disposer, Host } from '../../host/host.ts'
import type { CachedBlocks } from '../../table/block/block-source.ts'
import { FEW_HANDLES, IndexPath } from '../../table/index/index-path.ts'
import type { TableReader } from '../../table/table-reader.ts'

const STEP_MS = 1
const PAUSE_MS = 3
/** Slower reads come from a device: those blocks are left to their readers. */
const LONG_MS = 8
/** Size of one file read. */
const AHEAD_BYTES = 64 * 1024
/** Blocks between two clock reads. */
const BLOCKS_PER_LOOK = 16

/** A table, and the approximate cache memory of its blocks. */
export interface Warmed {
  readonly table: TableReader
  readonly bytes: number
}

export class CacheWarmer {
  readonly #host: Host
  readonly #blocks: CachedBlocks
  readonly #makeRoom: (bytes: number) => void
  /** Tables to load; the first is in progress, with its path. */
  #tables: Warmed[] = []
  /** Bytes of their blocks, all of the first one included. */
  #pendingBytes = 0
  #path: IndexPath | undefined
  /** Of the last filter. */
  #filterOffset = -1
  #steppedMs = 0
  #cancel: Disposer | undefined

  /** `makeRoom`: asked for unused memory when too little is free. */
  constructor(host: Host, blocks: CachedBlocks, makeRoom: (bytes: number) => void) {
    this.#host = host
    this.#blocks = blocks
    this.#makeRoom = makeRoom
  }

  /** Something is left to load: call `step` if the event loop may get no turn. */
  get isBusy(): boolean { return this.#tables.length > 0 }

  /** Queue these tables, in order, if all fit. `lentBytes`: memory `makeRoom` could free. Call `drop` before closing a queued table. */
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

  /** One step, if it is time. Not in the middle of a read: views of cached blocks may move. */
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

  /** Forget all queued tables. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#tables = []
    this.#pendingBytes = 0
    this.#path = undefined
  }

  /** Load a few blocks. False: no memory for more. */
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

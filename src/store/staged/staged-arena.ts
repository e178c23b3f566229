/**
 * The memtable memory of a large write.
 *
 * Invariants
 * 1. The first memtable is small and leased separately, so that small transactions take no arena. All others are arenas of the
 *    engine's admission, like the store's.
 * 2. Moving to a larger arena keeps all versions or, before any read, the last of each key.
 * 3. Memory is returned to its source.
 *
 * Accounts: `transactions` for the first one, `memtables` for the others.
 */
import type { Lease } from '../../memory/budget.ts'
import { arenaBuffer } from '../../memtable/arena.ts'
import type { Memtable } from '../../memtable/memtable.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES } from '../engine/arena-pool.ts'
import type { StoreState } from '../state/store-state.ts'
import type { Tenant } from '../engine/tenant.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import type { SnapshotList } from '../api/snapshots.ts'

/** Size of the first memtable; all first memtables together use at most a share of the budget. */
const FIRST_BYTES = 16 * 1024
const FIRST_SHARE = 1 / 32

/** The staged tables. */
export interface ArenaOwner extends Tenant {
  readonly active: MemtableSlot
  exchange(change: { active: MemtableSlot }): void
  readonly lastSeq: number
  readonly snapshots: SnapshotList
  /** No entry is in a table or being flushed. */
  readonly isInMemory: boolean
  /** While frozen, the memtable stays in memory. */
  freeze(frozen: boolean): void
}

export class StagedArena {
  readonly #core: StoreState
  readonly #owner: ArenaOwner
  /** While the active memtable is the first, small one. */
  #firstLease: Lease | undefined
  #isAdmitted = false

  constructor(core: StoreState, owner: ArenaOwner) {
    this.#core = core
    this.#owner = owner
  }

  /** The active memtable is the first one. */
  get isFirst(): boolean { return this.#firstLease !== undefined }

  /** Take the first memtable, if there is memory. */
  takeFirst(): boolean {
    const { transactions, budget, admission } = this.#core.engine
    if (transactions.bytes > budget.totalBytes * FIRST_SHARE) return false
    this.#firstLease = transactions.tryLeaseLeaving(FIRST_BYTES, HEADROOM_BYTES)
    if (this.#firstLease === undefined) return false
    // It may have been waiting for an arena.
    admission.leave(this.#owner)
    this.replace(arenaBuffer(FIRST_BYTES))
    return true
  }

  /** Move from the first memtable to an arena, with all versions. */
  leaveFirst(): boolean {
    const owner = this.#owner
    this.#admit()
    const buffer = this.#core.engine.memory.takeArena(owner, SMALLEST_ARENA_BYTES, { maxBytes: SMALLEST_ARENA_BYTES })
    if (buffer === undefined) return false
    const { active } = owner
    const from = active.memtable
    const versions: { seq: number, apply: (to: Memtable) => void }[] = from.ranges().map(({ start, end, seq }) => (
      { seq, apply: to => { to.deleteRange(start, end, seq) } }))
    const cursor = from.cursor()
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      const { key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd } = cursor
      versions.push({ seq, apply: to => { to.put(key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd, owner.snapshots.newestSeq) } })
    }
    versions.sort((a, b) => a.seq - b.seq)
    this.replace(buffer)
    for (const { apply } of versions) apply(owner.active.memtable)
    owner.active.valueFiles.push(...active.valueFiles.splice(0))
    active.close()
    this.#firstLease!.release()
    this.#firstLease = undefined
    return true
  }

  /** Move from the smallest arena to a larger free one. */
  grow(): boolean {
    const owner = this.#owner
    const { active } = owner
    const { engine } = this.#core
    const isFirst = owner.isInMemory && active.buffer.byteLength === SMALLEST_ARENA_BYTES
    if (!isFirst || active.memtable.rangeCount > 0 || owner.snapshots.size > 0) return false
    owner.freeze(true)
    const buffer = engine.memory.takeArena(owner, 2 * SMALLEST_ARENA_BYTES)
    owner.freeze(false)
    if (buffer === undefined || buffer.byteLength <= active.buffer.byteLength) {
      if (buffer === undefined) engine.admission.leave(owner)
      else engine.admission.give(buffer)
      return false
    }
    this.replace(buffer)
    const { memtable, valueFiles } = owner.active
    const cursor = active.memtable.cursor()
    // Each key exists once, so one sequence number serves all.
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      memtable.put(cursor.key, cursor.keyStart, cursor.keyEnd, owner.lastSeq, cursor.kind, cursor.value, cursor.valueStart, cursor.valueEnd, 0)
    }
    valueFiles.push(...active.valueFiles.splice(0))
    this.giveBack(active)
    return true
  }

  /** An empty arena, if one is available now. */
  take(): boolean {
    this.#admit()
    const buffer = this.#core.engine.memory.takeArena(this.#owner, SMALLEST_ARENA_BYTES)
    if (buffer === undefined) return false
    this.replace(buffer)
    return true
  }

  /** Replace the active memtable by an empty one; a placeholder without a buffer. */
  replace(buffer: SharedArrayBuffer | undefined): void {
    this.#owner.exchange({ active: new MemtableSlot(buffer, 0, this.#core.engine.metadata) })
  }

  /** Return the memory of a memtable. */
  giveBack(slot: MemtableSlot): void {
    slot.close()
    releaseValues(this.#core, slot.valueFiles)
    if (slot.buffer.byteLength === FIRST_BYTES) {
      this.#firstLease?.release()
      this.#firstLease = undefined
    } else if (!slot.isPlaceholder) {
      this.#core.engine.admission.give(slot.buffer)
    }
  }

  #admit(): void {
    if (this.#isAdmitted) return
    this.#isAdmitted = true
    this.#core.engine.memory.admit(this.#owner)
  }
}

/** Drop a memtable's references to value files. */
export function releaseValues(core: StoreState, numbers: readonly number[]): void {
  if (numbers.length === 0) return
  core.valueFiles.release(numbers)
  for (const number of numbers) if (!core.valueFiles.has(number)) core.files.unsyncedValues.delete(number)
}

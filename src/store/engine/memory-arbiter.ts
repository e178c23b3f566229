/**
 * Who gives memory back when another store of the budget needs it, and how the budget's total moves.
 *
 * Invariants
 * 1. A caller that finds no memory makes the store with the most to give flush its memtable, idle or not.
 * 2. A caller that finds less than its share makes idle stores give theirs back, once that pays (`idle-memory.ts`).
 * 3. A lowered total comes down with the memory in use and leaves room for the metadata of the tables that flushes make.
 */
import type { SpillwayError } from '../../base/errors.ts'
import type { Host } from '../../host/host.ts'
import type { Budget } from '../../memory/budget.ts'
import { emitBudget } from '../api/events.ts'
import type { ArenaAdmission } from './arena-admission.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES, arenaSize, arenaSizeAbove } from './arena-pool.ts'
import type { Governor } from './governor.ts'
import { IdleMemory } from './idle-memory.ts'
import type { JobScheduler } from './job-scheduler.ts'
import type { Tenant, Tenants } from './tenant.ts'

export interface ArenaWish {
  /** Of a store without a log. Default false. */
  isScratch?: boolean
  /** The largest useful arena. Default: no limit. */
  maxBytes?: number
}

/** Dropped arenas may add up to this, or a sixteenth of the budget, before a collection is requested. */
const MIN_DROPPED_BYTES = 4 * 1024 * 1024

export class MemoryArbiter {
  readonly #host: Host
  readonly #budget: Budget
  readonly #tenants: Tenants
  readonly #admission: ArenaAdmission
  readonly #governor: Governor
  readonly #jobs: JobScheduler
  readonly #idle = new IdleMemory()
  /** The total that was asked for; the budget's own comes down to it. */
  #targetBytes: number
  #droppedBytes = 0

  constructor(host: Host, budget: Budget, tenants: Tenants, admission: ArenaAdmission, governor: Governor, jobs: JobScheduler) {
    this.#host = host
    this.#budget = budget
    this.#tenants = tenants
    this.#admission = admission
    this.#governor = governor
    this.#jobs = jobs
    this.#targetBytes = budget.totalBytes
    admission.arenas.onDropped = bytes => this.#arenasDropped(bytes)
  }

  admit(tenant: Tenant): void {
    this.#tenants.add(tenant)
    this.#idle.admit(tenant)
  }

  dismiss(tenant: Tenant): void {
    this.#tenants.delete(tenant)
    this.#idle.dismiss(tenant)
  }

  /**
   * An arena for a store that begins to write. Undefined: another store was asked to flush; call again after every job, or
   * call `admission.leave`.
   */
  takeArena(store: object, minBytes: number, { isScratch = false, maxBytes = Infinity }: ArenaWish = {}): SharedArrayBuffer | undefined {
    const governor = this.#governor
    const admission = this.#admission
    const idle = this.#idle
    governor.tick()
    idle.look(admission.limitBytes)
    const share = Math.floor(admission.limitBytes / 2 * idle.shareOf(this.#tenants.of(store)))
    // Without a log, sealing early gains nothing: a memtable that stays in memory is never written.
    const size = isScratch ? Infinity : arenaSizeAbove(governor.sizer.sizeBytes)
    const want = Math.max(minBytes, Math.min(size, Math.max(share, SMALLEST_ARENA_BYTES), maxBytes))
    const buffer = admission.take(store, want, minBytes)
    if (buffer === undefined) {
      this.makeRoom()
      // An empty memtable gives its arena back at once.
      return admission.take(store, want, minBytes)
    }
    idle.recordTaken(buffer.byteLength / arenaSize(want))
    // A larger arena than this is too large. Many equally small ones may belong to stores at rest.
    if (buffer.byteLength < want / 2) this.makeRoom(buffer.byteLength + 1)
    this.giveIdleBack()
    return buffer
  }

  /** Make an idle store flush if that pays now and no flush runs. */
  giveIdleBack(): void {
    if (this.#jobs.isFlushing) return
    const refused = new Set<Tenant>()
    for (let victim; (victim = this.#idle.victim(refused)) !== undefined;) {
      this.#idle.gaveBack(victim)
      this.#admission.preferLarger()
      if (victim.yieldMemtable() && this.#jobs.isFlushing) return
      refused.add(victim)
    }
  }

  /** Make the store with the most memory to give flush, if that is at least `minBytes` and no flush runs. */
  makeRoom(minBytes = 0): void {
    // Callers that still wait after that flush ask again.
    if (this.#jobs.isFlushing) return
    const refused = new Set<Tenant>()
    for (;;) {
      let victim: Tenant | undefined
      let most = 0
      for (const tenant of this.#tenants) {
        // Of equally large arenas the fullest makes the best table.
        const arenaBytes = tenant.reclaimableBytes()
        const bytes = refused.has(tenant) ? 0 : arenaBytes + tenant.unflushedBytes()
        if (bytes > most && arenaBytes >= minBytes) {
          most = bytes
          victim = tenant
        }
      }
      // A store whose disk fails must not keep the others from it.
      if (victim === undefined || victim.yieldMemtable()) return
      refused.add(victim)
    }
  }

  /** Free memory and wait inside this call until a job has ended. False: none runs and none could be started. */
  flushInside(): boolean {
    const { usedBytes } = this.#admission
    if (!this.#jobs.isBusy) this.makeRoom()
    // An empty memtable gives its arena back at once.
    return this.#jobs.runner.pump(true) || this.#admission.usedBytes < usedBytes
  }

  /** Retry failed flushes now; those in their pause only if `isAskedFor`. True if there are any. */
  retryFlushes(isAskedFor = false): boolean {
    let any = false
    for (const tenant of this.#tenants) if (tenant.retryFlush(isAskedFor)) any = true
    return any
  }

  /** Why a store cannot give back its memory, if there is one. */
  heldBy(): SpillwayError | undefined {
    for (const tenant of this.#tenants) {
      const error = tenant.heldBy()
      if (error !== undefined) return error
    }
    return undefined
  }

  /** The total is to become `bytes`. Raised at once; lowered as memory comes back. */
  setTarget(bytes: number): void {
    this.#targetBytes = bytes
    if (bytes > this.#budget.totalBytes) this.#budget.setTotal(bytes)
    emitBudget({ budgetBytes: this.#budget.totalBytes, targetBytes: bytes, usedBytes: this.#budget.usedBytes })
    // Arenas larger than the new share come back by being flushed.
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > this.#admission.limitBytes / 2) tenant.yieldMemtable()
  }

  /** The last store has closed. */
  settleTotal(): void { this.#budget.setTotal(this.#targetBytes) }

  /** One step of a lowered total: flush one memtable after another until the memory in use fits. */
  comeDown(): void {
    const budget = this.#budget
    const beforeBytes = budget.totalBytes
    if (beforeBytes === this.#targetBytes) return
    // Takes back all that needs no flush.
    budget.setTotal(this.#targetBytes)
    if (budget.makeRoom(HEADROOM_BYTES) || (budget.usedBytes <= this.#targetBytes && !this.#admission.arenas.holdsLeased)) {
      emitBudget({ budgetBytes: budget.totalBytes, targetBytes: this.#targetBytes, usedBytes: budget.usedBytes })
      return
    }
    budget.setTotal(Math.max(this.#targetBytes, Math.min(beforeBytes, budget.usedBytes + HEADROOM_BYTES)))
    this.makeRoom()
  }

  #arenasDropped(bytes: number): void {
    this.#droppedBytes += bytes
    // Both threads know the memory under objects of their own.
    this.#jobs.runner.collectGarbage()
    if (this.#droppedBytes < Math.max(MIN_DROPPED_BYTES, this.#budget.totalBytes / 16)) return
    this.#droppedBytes = 0
    this.#host.collectGarbage()
  }
}

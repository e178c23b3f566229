/**
 * What the stores of one budget share: the ledger's fixed parts, kernels, block cache, windows, memtable arenas, the log buffer,
 * the job runner, and the reserve for one flush and one smallest merge. A store on a budget of its own has an engine of its own.
 *
 * Invariants
 * 1. Whoever waits for memory waits while a job runs that frees some, or this engine has asked a store to flush.
 * 2. The store asked to flush is the one with the most to give, whoever it is; an idle store is asked like any other.
 * 3. One flush runs at a time and comes before all merges; merges of all stores share a number of places.
 */
import { invalidArgument } from '../base/errors.ts'
import { Kernels } from '../base/kernels/kernels.ts'
import { BlockCache } from '../cache/block-cache.ts'
import { KERNEL_REGION_BYTES, jobs, mergeWorkingBytes } from '../compaction/jobs.ts'
import type { FlushArgs, JobOutput } from '../compaction/jobs.ts'
import { Ghosts } from '../cache/ghosts.ts'
import type { Host, JobRunner } from '../host/host.ts'
import type { Account, Budget, Lease } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { CachedBlocks } from '../table/block/block-source.ts'
import { Admission } from './admission.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES, arenaSizeAbove } from './arenas.ts'
import { tellBudget, tellError } from './events.ts'
import { Governor } from './governor.ts'
import { LogBuffer } from './log-buffer.ts'
import { GHOST_SHARE, READING_BYTES, checkFloor, makePlan } from './plan.ts'
import type { Plan } from './plan.ts'

/** What the engine asks of each of its stores. */
export interface Tenant {
  /** Bytes of arena that a flush of its active memtable would give back; 0: none, or one is being flushed already. */
  reclaimableBytes(): number
  /** Flush the active memtable for others, or give its arena back if it is empty. False: it cannot now. Never throws. */
  yieldMemtable(): boolean
  /** Some job has ended: go on with what waits. */
  onProgress(): void
  /** Start merges, if there is a place and something to merge. */
  schedule(): void
  /** Bytes of its tables. */
  tableBytes(): number
}

export interface MergeMemory {
  readAheadBytes: number
  windowBytes: number
  release(): void
}

const FLUSH_PRIORITY = 0
const engines = new WeakMap<Budget, Engine>()

export class Engine {
  readonly host: Host
  readonly budget: Budget
  readonly kernels: Kernels
  readonly cache: BlockCache
  readonly blocks: CachedBlocks
  readonly windows: WindowPool
  readonly admission: Admission
  readonly logBuffer: LogBuffer
  readonly runner: JobRunner
  readonly metadata: Account
  readonly governor: Governor
  /** Scans that stand between two calls of their iterators: closed when their windows are needed. */
  readonly idleScans = new Set<() => void>()
  readonly #jobsAccount: Account
  readonly #scratchAccount: Account
  readonly #leases: Lease[] = []
  readonly #removals: (() => void)[] = []
  readonly #tenants = new Set<Tenant>()
  readonly #writeShare: number | undefined
  #plan: Plan
  #holders = 0
  #flushRunning = false
  /** Somebody got less than its share while a flush ran: when that has ended, the store with the most is asked. */
  #roomWanted = false
  readonly #flushes: { args: FlushArgs, done: (error: Error | undefined, output: unknown) => void }[] = []
  #mergesRunning = 0
  #reserveInUse = false
  #nextTableId = 1
  #droppedBytes = 0
  /** What the budget's total is, or comes down to. */
  #targetBytes: number
  #progressScheduled = false

  /** The engine of a budget, made by its first store. Each call is matched by one of `release`. */
  static acquire(budget: Budget, host: Host, blockBytes: number, writeShare?: number): Engine {
    let engine = engines.get(budget)
    if (engine === undefined) {
      engine = new Engine(budget, host, blockBytes, writeShare)
      engines.set(budget, engine)
    } else if (engine.host !== host && engine.host.constructor !== host.constructor) {
      throw invalidArgument('stores that share a budget must share their host too')
    }
    // What a further store holds must fit beside what the others hold.
    if (engine.#holders > 0) checkFloor(engine.#plan, engine.metadata.bytes, engine.#holders + 1)
    engine.#holders++
    return engine
  }

  private constructor(budget: Budget, host: Host, blockBytes: number, writeShare: number | undefined) {
    const plan = makePlan(budget.totalBytes, blockBytes, undefined, writeShare)
    this.#writeShare = writeShare
    checkFloor(plan, 0)
    this.host = host
    this.budget = budget
    this.#targetBytes = budget.totalBytes
    this.#plan = plan
    this.metadata = budget.account('table metadata', 'grows with tables: top index, range tombstones, key ranges')
    this.#jobsAccount = budget.account('flush and merge', 'one flush and one smallest merge are reserved; wider merges lease more')
    this.#scratchAccount = budget.account('encoding', 'fixed per store: scratch for keys and values')
    const reserve = (name: string, bound: string, bytes: number): void => {
      this.#leases.push(budget.account(name, bound).lease(bytes))
    }
    reserve('kernels', 'fixed: wasm memory for checksums and compression', plan.kernelBytes)
    reserve('worker', plan.mode === 'worker' ? 'fixed: one isolate with a small heap' : 'fixed: wasm memory of background jobs', plan.workerBytes)
    reserve('log', 'fixed: one buffer', plan.logBufferBytes)
    reserve('write queue', 'fixed: writes waiting for a flush', plan.queueBytes)
    this.#leases.push(this.#jobsAccount.lease(plan.flushBytes + plan.mergeReserveBytes))
    this.admission = new Admission(
      budget.account('memtables', 'their share of the budget, moved by the tuner; two of the smallest are reserved'), plan.writeBytes, {
        onStarved: () => this.makeRoom(),
        onGranted: () => this.#progressSoon(),
        onAccountingError: error => tellError({ error, readOnly: false }),
      })
    this.admission.arenas.onDropped = bytes => this.#arenasDropped(bytes)
    this.kernels = new Kernels(KERNEL_REGION_BYTES)
    this.logBuffer = new LogBuffer(plan.logBufferBytes)
    let ghosts: Ghosts | undefined
    if (plan.ghostBytes > 0) {
      reserve('cache ghosts', 'fixed: names of blocks dropped lately, to measure what more cache would be worth', plan.ghostBytes)
      ghosts = new Ghosts(Ghosts.capacityFor(plan.ghostBytes), GHOST_SHARE * plan.budgetBytes)
    }
    this.cache = new BlockCache(budget.account('block cache', 'whatever nobody else needs'), ghosts === undefined ? {} : { ghosts })
    this.governor = new Governor({
      host, budget, cache: this.cache, ghosts, admission: this.admission,
      tableBytes: () => [...this.#tenants].reduce((bytes, tenant) => bytes + tenant.tableBytes(), 0),
      makeRoom: () => this.makeRoom(),
    }, plan)
    this.windows = new WindowPool(budget.account('iterators', 'one window per run and open iterator, given back when idle; a reserve for one read'), plan.keepWindowBytes, READING_BYTES / 2)
    // In the order of what giving back costs: nothing, a look-up, reading blocks again.
    this.#removals.push(
      budget.addReclaimer(bytes => this.windows.releaseFree(bytes)),
      budget.addReclaimer(bytes => this.admission.arenas.releaseFree(bytes)),
      budget.addReclaimer(bytes => this.#releaseIdleScans(bytes)),
      budget.addReclaimer(bytes => this.cache.shrink(bytes)),
    )
    this.blocks = new CachedBlocks(this.cache, this.kernels)
    this.runner = host.runner({
      moduleUrl: new URL(import.meta.url.endsWith('.ts') ? '../compaction/jobs.ts' : '../compaction/jobs.js', import.meta.url),
      module: { jobs },
      mode: plan.mode,
      heapBytes: plan.workerHeapBytes,
    })
  }

  get plan(): Plan { return this.#plan }
  /** Some job runs that will give memory back. */
  get isBusy(): boolean { return this.runner.pending > 0 }
  get hasMergePlace(): boolean { return this.#mergesRunning < this.#plan.maxMerges }

  takeTableId(): number { return this.#nextTableId++ }

  /** Scratch for one more store. */
  leaseScratch(): Lease { return this.#scratchAccount.lease(this.#plan.scratchBytes) }

  admit(tenant: Tenant): void { this.#tenants.add(tenant) }
  dismiss(tenant: Tenant): void { this.#tenants.delete(tenant) }

  /** Let go of the engine; the last holder closes it. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    engines.delete(this.budget)
    this.governor.close()
    await this.runner.close()
    for (const remove of this.#removals) remove()
    this.cache.close()
    this.windows.close()
    this.admission.close()
    for (const lease of this.#leases.splice(0)) lease.release()
    this.budget.setTotal(this.#targetBytes)
  }

  /**
   * An arena for a store that begins to write; undefined: something was asked to make room, and it is to ask again after every
   * job, or to tell `admission.leave` that it waits no longer.
   */
  takeArena(store: object, leastBytes: number): SharedArrayBuffer | undefined {
    const { governor, admission } = this
    governor.tick()
    let writers = 1
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > 0) writers++
    const share = Math.floor(admission.limitBytes / 2 / writers)
    const want = Math.max(leastBytes, Math.min(arenaSizeAbove(governor.sizer.sizeBytes), Math.max(share, SMALLEST_ARENA_BYTES)))
    const buffer = admission.take(store, want, leastBytes)
    if (buffer !== undefined && buffer.byteLength >= want / 2) return buffer
    this.makeRoom()
    // A memtable that held nothing gives its arena back at once.
    return buffer ?? admission.take(store, want, leastBytes)
  }

  /** Ask the store with the most to give to flush, unless a flush is on its way already. */
  makeRoom(): void {
    this.#roomWanted = this.#flushRunning
    if (this.#flushRunning) return
    const refused = new Set<Tenant>()
    for (;;) {
      let victim: Tenant | undefined
      let most = 0
      for (const tenant of this.#tenants) {
        const bytes = refused.has(tenant) ? 0 : tenant.reclaimableBytes()
        if (bytes > most) {
          most = bytes
          victim = tenant
        }
      }
      // One that cannot (its disk fails) must not keep the others from it.
      if (victim === undefined || victim.yieldMemtable()) return
      refused.add(victim)
    }
  }

  /** Flushes of all stores, one after the other. */
  flush(args: FlushArgs, done: (error: Error | undefined, output: JobOutput) => void): void {
    this.#flushes.push({ args, done: (error, output) => done(error, output as JobOutput) })
    this.#nextFlush()
  }

  /** Memory and a place for a merge of so many runs; undefined: later. */
  admitMerge(runs: number, windowFactor: number, blockBytes: number): MergeMemory | undefined {
    const plan = this.#plan
    if (!this.hasMergePlace) return undefined
    const windowBytes = runs * plan.windowBytesPerRun * windowFactor
    for (const readAheadBytes of [plan.readAheadBytes, plan.readAheadBytes / 2, plan.readAheadBytes / 4]) {
      const bytes = mergeWorkingBytes({ blockBytes }, runs, readAheadBytes, windowBytes)
      const extra = this.#reserveInUse ? bytes : Math.max(0, bytes - plan.mergeReserveBytes)
      // What it takes beyond the reserve leaves readers their room, but for a merge that cannot be narrower.
      const lease = this.#jobsAccount.tryLeaseLeaving(extra, extra === 0 || runs <= 2 ? 0 : HEADROOM_BYTES)
      if (lease === undefined) continue
      const usesReserve = !this.#reserveInUse
      if (usesReserve) this.#reserveInUse = true
      this.#mergesRunning++
      return {
        readAheadBytes, windowBytes,
        release: () => {
          this.#mergesRunning--
          lease.release()
          if (usesReserve) this.#reserveInUse = false
        },
      }
    }
    return undefined
  }

  /** Called after every job: all stores go on, the merges of others may have a place now. */
  progress(): void {
    this.#comeDown()
    for (const tenant of this.#tenants) tenant.schedule()
    for (const tenant of this.#tenants) tenant.onProgress()
  }

  /** Change the budget while stores are open. Throws BUDGET_TOO_SMALL, and nothing changes, below the floor. */
  setBudget(budgetBytes: number, blockBytes: number): void {
    const plan = makePlan(budgetBytes, blockBytes, this.#plan.mode, this.#writeShare)
    checkFloor(plan, this.metadata.bytes, this.#holders)
    this.#plan = plan
    this.governor.configure(plan)
    this.#targetBytes = budgetBytes
    if (budgetBytes > this.budget.totalBytes) this.budget.setTotal(budgetBytes)
    tellBudget({ budgetBytes: this.budget.totalBytes, targetBytes: budgetBytes, usedBytes: this.budget.usedBytes })
    // Arenas larger than the new share come back by being flushed.
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > this.admission.limitBytes / 2) tenant.yieldMemtable()
    this.progress()
  }

  /** Not from inside the call that made room: whose turn it is may be in the middle of something. */
  #progressSoon(): void {
    if (this.#progressScheduled) return
    this.#progressScheduled = true
    this.host.scheduler.soon(() => {
      this.#progressScheduled = false
      if (this.#holders > 0) this.progress()
    })
  }

  /**
   * After the budget was lowered: flush one memtable after the other until what is held fits. Meanwhile the total comes down
   * with what is used, and leaves room for the metadata of the tables that those flushes make: without it none could end.
   */
  #comeDown(): void {
    const { budget } = this
    const beforeBytes = budget.totalBytes
    if (beforeBytes === this.#targetBytes) return
    // Asks for all that can be given back without a flush.
    budget.setTotal(this.#targetBytes)
    if (budget.usedBytes + HEADROOM_BYTES <= this.#targetBytes || (budget.usedBytes <= this.#targetBytes && !this.admission.arenas.holdsLeased)) {
      tellBudget({ budgetBytes: budget.totalBytes, targetBytes: this.#targetBytes, usedBytes: budget.usedBytes })
      return
    }
    budget.setTotal(Math.max(this.#targetBytes, Math.min(beforeBytes, budget.usedBytes + HEADROOM_BYTES)))
    this.makeRoom()
  }

  #nextFlush(): void {
    if (this.#flushRunning) return
    const next = this.#flushes.shift()
    if (next === undefined) return
    this.#flushRunning = true
    this.runner.submit({ name: 'flush', args: next.args, priority: FLUSH_PRIORITY }, (error, output) => {
      this.#flushRunning = false
      next.done(error, output)
      if (this.#roomWanted) this.makeRoom()
      this.#nextFlush()
      this.progress()
    })
  }

  /** Oldest first, until so many bytes of windows are free again. */
  #releaseIdleScans(bytes: number): number {
    let given = 0
    for (const release of this.idleScans) {
      if (given >= bytes) break
      this.idleScans.delete(release)
      release()
      given += this.windows.releaseFree(bytes - given)
    }
    return given
  }

  #arenasDropped(bytes: number): void {
    this.#droppedBytes += bytes
    if (this.#droppedBytes < 4 * 1024 * 1024) return
    this.#droppedBytes = 0
    this.host.collectGarbage()
  }
}

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
import type { Host, JobRunner } from '../host/host.ts'
import { combinePressure } from '../host/pressure.ts'
import { Allowance } from '../memory/allowance.ts'
import type { Account, Budget, Lease } from '../memory/budget.ts'
import { MemtableSizer } from '../memory/sizer.ts'
import type { SizerOptions } from '../memory/sizer.ts'
import { WindowPool } from '../memory/windows.ts'
import { CachedBlocks } from '../table/block/block-source.ts'
import { Arenas, HEADROOM_BYTES, powerOfTwoAbove, powerOfTwoBelow } from './arenas.ts'
import { LogBuffer } from './log-buffer.ts'
import { READING_BYTES, checkFloor, makePlan } from './plan.ts'
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
}

export interface MergeMemory {
  readAheadBytes: number
  windowBytes: number
  release(): void
}

const FLUSH_PRIORITY = 0
const SIZER_STEP_MS = 1000
const engines = new WeakMap<Budget, Engine>()

export class Engine {
  readonly host: Host
  readonly budget: Budget
  readonly kernels: Kernels
  readonly cache: BlockCache
  readonly blocks: CachedBlocks
  readonly windows: WindowPool
  readonly arenas: Arenas
  readonly logBuffer: LogBuffer
  readonly runner: JobRunner
  readonly metadata: Account
  /** When to seal: measures what is asked for by all stores of the budget. */
  readonly sizer: MemtableSizer
  /** The objects of iterators themselves: an iterator is opened whether or not there is room for them. */
  readonly iteratorObjects: Allowance
  /**
   * Iterators that hold a scan or entries read ahead between two calls. Each gives back its scan when it is called, and is here
   * again if it has entries; those when it is called once more.
   */
  readonly idleScans = new Set<() => void>()
  readonly #jobsAccount: Account
  readonly #scratchAccount: Account
  readonly #leases: Lease[] = []
  readonly #removals: (() => void)[] = []
  readonly #tenants = new Set<Tenant>()
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
  #sizedMs = -Infinity

  /** The engine of a budget, made by its first store. Each call is matched by one of `release`. */
  static acquire(budget: Budget, host: Host, blockBytes: number): Engine {
    let engine = engines.get(budget)
    if (engine === undefined) {
      engine = new Engine(budget, host, blockBytes)
      engines.set(budget, engine)
    } else if (engine.host !== host && engine.host.constructor !== host.constructor) {
      throw invalidArgument('stores that share a budget must share their host too')
    }
    // What a further store holds must fit beside what the others hold.
    if (engine.#holders > 0) checkFloor(engine.#plan, engine.metadata.bytes, engine.#holders + 1)
    engine.#holders++
    return engine
  }

  private constructor(budget: Budget, host: Host, blockBytes: number) {
    const plan = makePlan(budget.totalBytes, blockBytes)
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
    this.arenas = new Arenas(budget.account('memtables', 'their share of the budget; two of the smallest are reserved'), plan.smallestArenaBytes, plan.writeBytes)
    this.arenas.onDropped = bytes => this.#arenasDropped(bytes)
    this.sizer = new MemtableSizer({ nowMs: () => host.clock.nowMs(), pressure: () => this.#pressure() }, sizerOptions(plan))
    this.kernels = new Kernels(KERNEL_REGION_BYTES)
    this.logBuffer = new LogBuffer(plan.logBufferBytes)
    const cached = budget.account('block cache', 'whatever nobody else needs')
    this.cache = new BlockCache(cached)
    const iterators = budget.account('iterators', 'a window per run and entries read ahead, given back when idle; about 1 KiB each; a reserve for one read')
    this.windows = new WindowPool(iterators, plan.keepWindowBytes, READING_BYTES / 2)
    this.iteratorObjects = new Allowance(iterators, 32 * 1024, HEADROOM_BYTES)
    // In the order of what giving back costs: nothing, reading blocks again, looking up places. Of the cache and idle
    // iterators the larger gives first, so that neither starves the other.
    this.#removals.push(
      budget.addReclaimer(bytes => this.windows.releaseFree(bytes)),
      budget.addReclaimer(bytes => this.arenas.releaseFree(bytes)),
      budget.addReclaimer(bytes => cached.bytes > iterators.bytes ? this.cache.shrink(bytes) : 0),
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
    await this.runner.close()
    for (const remove of this.#removals) remove()
    this.cache.close()
    this.windows.close()
    this.iteratorObjects.close()
    this.arenas.close()
    for (const lease of this.#leases.splice(0)) lease.release()
    this.budget.setTotal(this.#targetBytes)
  }

  /** An arena for a store that begins to write; undefined: wait, something was asked to make room. */
  takeArena(leastBytes: number): SharedArrayBuffer | undefined {
    const { smallestArenaBytes } = this.#plan
    this.#updateSizer()
    let writers = 1
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > 0) writers++
    const share = Math.floor(this.arenas.limitBytes / 2 / writers)
    const want = Math.max(leastBytes, Math.min(powerOfTwoAbove(this.sizer.sizeBytes), Math.max(share, smallestArenaBytes)))
    const buffer = this.arenas.take(want)
    if (buffer !== undefined && buffer.byteLength >= powerOfTwoBelow(want)) return buffer
    this.makeRoom()
    // A memtable that held nothing gives its arena back at once.
    return buffer ?? this.arenas.take(want)
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
    const plan = makePlan(budgetBytes, blockBytes, this.#plan.mode)
    checkFloor(plan, this.metadata.bytes, this.#holders)
    this.#plan = plan
    this.arenas.setLimit(plan.writeBytes)
    this.sizer.configure(sizerOptions(plan))
    this.#targetBytes = budgetBytes
    if (budgetBytes > this.budget.totalBytes) this.budget.setTotal(budgetBytes)
    // Arenas larger than the new share come back by being flushed.
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > plan.largestArenaBytes) tenant.yieldMemtable()
    this.progress()
  }

  #updateSizer(): void {
    const nowMs = this.host.clock.nowMs()
    if (nowMs - this.#sizedMs < SIZER_STEP_MS) return
    this.#sizedMs = nowMs
    this.sizer.update()
  }

  /** Of the host, and of this budget without the block cache, which fills whatever is free. */
  #pressure(): number | undefined {
    const { totalBytes, usedBytes } = this.budget
    const value = totalBytes === 0 ? undefined : (usedBytes - this.cache.stats().bytes - this.arenas.bytes) / totalBytes
    return combinePressure([...this.host.pressure().parts, { name: 'budget', value }]).pressure
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
    if (budget.usedBytes + HEADROOM_BYTES <= this.#targetBytes) return
    if (budget.usedBytes <= this.#targetBytes && !this.arenas.holdsLeased) return
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

  /** Oldest first, until so many bytes are free again: of all of them the scans, then what was read ahead. */
  #releaseIdleScans(bytes: number): number {
    const { budget } = this
    const before = budget.usedBytes
    for (const release of this.idleScans) {
      this.idleScans.delete(release)
      release()
      this.windows.releaseFree(bytes - (before - budget.usedBytes))
      if (before - budget.usedBytes >= bytes) break
    }
    return before - budget.usedBytes
  }

  #arenasDropped(bytes: number): void {
    this.#droppedBytes += bytes
    if (this.#droppedBytes < 4 * 1024 * 1024) return
    this.#droppedBytes = 0
    this.host.collectGarbage()
  }
}

/** The largest arena holds a second of the fastest writing; a slow writer takes less and leaves more to the cache. */
function sizerOptions({ largestArenaBytes }: Plan): SizerOptions {
  return { baseBytes: largestArenaBytes / 2, maxBytes: largestArenaBytes }
}

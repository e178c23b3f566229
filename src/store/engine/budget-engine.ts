/**
 * What the stores of one budget share, wired together: accounts, kernels, memtable arenas, caches, the log buffer, the job runner.
 * A store on a budget of its own has an engine of its own.
 *
 * Its parts: `job-scheduler.ts` (flushes, merges, progress), `memory-arbiter.ts` (who gives memory back), `read-resources.ts`
 * (caches and cursors), `arena-admission.ts` and `governor.ts` (write memory).
 *
 * Account: all of a store's, see `memory/accounts.ts`.
 */
import { invalidArgument } from '../../base/errors.ts'
import { formatSize } from '../../base/sizes.ts'
import { KERNEL_REGION_BYTES, jobs } from '../../compaction/jobs.ts'
import { hasWorkerCode, workerCode } from '../../compaction/worker-code.ts'
import type { Host } from '../../host/host.ts'
import { Kernels } from '../../kernels/kernels.ts'
import type { AccountName } from '../../memory/accounts.ts'
import type { Account, Budget, Lease } from '../../memory/budget.ts'
import { Overdraft } from '../../memory/overdraft.ts'
import { watchHandles } from '../../memory/watch-handles.ts'
import { ReservedLease } from '../../memory/reserved-lease.ts'
import { emitError } from '../api/events.ts'
import type { Settings } from '../api/settings.ts'
import { ArenaAdmission } from './arena-admission.ts'
import { HEADROOM_BYTES } from './arena-pool.ts'
import { METADATA_SPARE_BYTES, WORKER_FROM_BYTES, checkFloor, makePlan } from './budget-plan.ts'
import type { BudgetPlan } from './budget-plan.ts'
import type { Warmed } from './cache-warmer.ts'
import { Governor, Traffic } from './governor.ts'
import { JobScheduler } from './job-scheduler.ts'
import { LogBuffer } from './log-buffer.ts'
import { MemoryArbiter } from './memory-arbiter.ts'
import { ReadResources } from './read-resources.ts'
import { Tenants } from './tenant.ts'
import { WriteDemand } from './write-demand.ts'

/** Of the first store of a budget. */
export type EngineOptions = Pick<Settings, 'budget' | 'blockBytes' | 'isShared' | 'writeShare' | 'compressedCache' | 'rowCache' | 'coldReads'>

/** Bytes of transaction objects leased at a time. */
const OBJECTS_STEP_BYTES = 16 * 1024

const engines = new WeakMap<Budget, BudgetEngine>()
/** Budgets whose last store is closing: resolved when all is given back. */
const closings = new WeakMap<Budget, Promise<void>>()

export class BudgetEngine {
  readonly host: Host
  readonly budget: Budget
  readonly kernels: Kernels
  /** Open tables, with a spare so that a flush or merge can install its own. */
  readonly tableMemory: ReservedLease
  readonly transactions: Account
  /** Part of `transactions`: the objects; a transaction begins even when there is no memory for them. */
  readonly transactionObjects: Overdraft
  readonly tenants = new Tenants()
  readonly admission: ArenaAdmission
  readonly governor: Governor
  readonly logBuffer: LogBuffer
  readonly reading: ReadResources
  readonly jobs: JobScheduler
  readonly memory: MemoryArbiter
  /** Why jobs run on the main thread; undefined: they do not. */
  readonly whyInline: string | undefined
  readonly #options: EngineOptions
  readonly #demand: WriteDemand
  readonly #closers: (() => void)[] = []
  readonly #held = new Map<AccountName, Lease>()
  #plan: BudgetPlan
  #holders = 0

  /** Resolves when no engine of this budget is closing; until then its memory is in use. */
  static async settled(budget: Budget): Promise<void> {
    for (let closing; (closing = closings.get(budget)) !== undefined;) await closing
  }

  /** The engine of a budget; undefined: it has no store. */
  static of(budget: Budget): BudgetEngine | undefined { return engines.get(budget) }

  /** The engine of a budget, made by its first store. Each call is matched by one of `release`. */
  static acquire(host: Host, options: EngineOptions): BudgetEngine {
    const { budget } = options
    let engine = engines.get(budget)
    if (engine === undefined) {
      engine = new BudgetEngine(host, options)
      engines.set(budget, engine)
    } else if (engine.host !== host && engine.host.constructor !== host.constructor) {
      throw invalidArgument('stores that share a budget must share their host too')
    }
    // A further store must fit beside the memory of the others.
    if (engine.#holders > 0) checkFloor(engine.#plan, engine.metadataBytes, engine.#holders + 1)
    engine.#holders++
    return engine
  }

  private constructor(host: Host, options: EngineOptions) {
    const { budget, blockBytes, isShared, writeShare } = options
    const whyNoWorker = hasWorkerCode ? host.shortcomings?.().worker : 'its code is missing: this copy of the package was not built'
    const plan = makePlan(budget.totalBytes, blockBytes, whyNoWorker === undefined ? undefined : 'inline', writeShare, isShared)
    checkFloor(plan, 0)
    this.#options = options
    this.host = host
    this.budget = budget
    this.#plan = plan
    try {
      this.transactions = budget.account('transactions')
      const log = this.#hold('log', plan.logBufferBytes)
      const queue = this.#hold('write queue', plan.queueBytes)
      const kernels = this.#hold('kernels', plan.kernelBytes)
      this.#hold('objects', plan.objectBytes)
      this.#hold('worker', plan.workerBytes)
      this.#hold('flush and merge', plan.flushBytes + plan.mergeReserveBytes)
      const memtables = budget.account('memtables')
      this.tableMemory = this.#closed(new ReservedLease(budget.account('table metadata'), METADATA_SPARE_BYTES))
      this.admission = this.#closed(new ArenaAdmission(memtables, plan.writeBytes, {
        onStarved: () => this.memory.makeRoom(),
        onGranted: () => this.jobs.progressSoon(),
        onAccountingError: error => emitError({ error, readOnly: false }),
      }))
      const traffic = new Traffic()
      this.#demand = new WriteDemand(host.clock, traffic)
      this.kernels = new Kernels(KERNEL_REGION_BYTES)
      // Those of jobs are made at the first flush, where it would be too late to report a failure.
      Kernels.checkRoom()
      this.logBuffer = new LogBuffer(plan.logBufferBytes)
      // While no store writes, free arenas serve readers better. The next writer takes the memory back.
      const lend = (bytes: number): void => { if (this.#demand.isQuiet) this.admission.arenas.releaseFree(bytes) }
      this.reading = this.#closed(new ReadResources(host, budget, this.kernels, () => this.#plan, options, lend))
      this.governor = this.#closed(new Governor({
        host, budget, traffic, cache: this.reading.cache, ghosts: undefined, admission: this.admission,
        tableBytes: () => this.tenants.tableBytes(),
        gets: () => this.reading.blocks.gets,
        makeRoom: () => this.memory.makeRoom(),
        onSample: () => {
          const bytesPerSecond = this.#demand.sample()
          for (const tenant of this.tenants) tenant.mergeForReaders?.(bytesPerSecond)
        },
      }, plan))
      this.#configureReading(plan)
      const handles = host.isDebug === true ? watchHandles(budget, () => host.clock.nowMs(), true) : undefined
      if (handles !== undefined) this.#closers.push(() => handles.release())
      this.transactionObjects = this.#closed(new Overdraft(this.transactions, OBJECTS_STEP_BYTES, HEADROOM_BYTES))
      this.#closers.push(budget.addReclaimer('freeArenas', bytes => this.admission.arenas.releaseFree(bytes)))
      log.measure = () => this.logBuffer.bytes.buffer.byteLength
      queue.measure = () => this.tenants.waitingBytes()
      kernels.measure = () => this.kernels.memory.buffer.byteLength
      memtables.measure = () => this.admission.arenas.measure()
      this.#closers.push(() => { log.measure = queue.measure = kernels.measure = memtables.measure = undefined })
      const isSmall = budget.totalBytes < WORKER_FROM_BYTES
      if (plan.mode === 'inline') this.whyInline = isSmall ? `the budget is below ${formatSize(WORKER_FROM_BYTES)}` : whyNoWorker
      if (!isSmall && whyNoWorker !== undefined) host.warnOnce('SPILLWAY_INLINE', `flushes and merges run on the main thread: ${whyNoWorker}`)
      const runner = host.runner({ worker: workerCode, module: { jobs }, mode: plan.mode, heapBytes: plan.workerHeapBytes })
      this.jobs = new JobScheduler(runner, budget.account('flush and merge'), () => this.#plan, this.tenants, host.scheduler, {
        onFlushed: () => this.memory.giveIdleBack(),
        onProgress: () => this.memory.comeDown(),
        isOpen: () => this.#holders > 0,
      })
      this.memory = new MemoryArbiter(host, budget, this.tenants, this.admission, this.governor, this.jobs)
    } catch (error) {
      // Nothing may stay leased: the next store starts over.
      this.#close()
      throw error
    }
  }

  get plan(): BudgetPlan { return this.#plan }
  get metadata(): Account { return this.tableMemory.account }
  /** Bytes of tables, without the spare, which the floor counts as memory for reading. */
  get metadataBytes(): number { return this.metadata.bytes - this.tableMemory.spareBytes }
  /** The spare for the metadata of new tables is in use: runs must be merged, whatever the strategy says. */
  get isMetadataShort(): boolean { return this.tableMemory.spareBytes < METADATA_SPARE_BYTES }

  /** Accounts and bytes that each open store holds: scratch and objects. */
  get storeNeeds(): [Account, number][] {
    return [[this.budget.account('encoding'), this.#plan.scratchBytes], [this.budget.account('objects'), this.#plan.storeObjectBytes]]
  }

  /** Lease `storeNeeds`. Throws BUDGET_TOO_SMALL, and then holds nothing. */
  leaseStore(): Lease[] {
    const leases: Lease[] = []
    try {
      for (const [account, bytes] of this.storeNeeds) leases.push(account.lease(bytes))
      return leases
    } catch (error) {
      for (const lease of leases) lease.release()
      throw error
    }
  }

  /** Change the budget while stores are open. Throws BUDGET_TOO_SMALL below the floor, and then changes nothing. */
  setBudget(budgetBytes: number, blockBytes: number): void {
    const { isShared, writeShare } = this.#options
    const plan = makePlan(budgetBytes, blockBytes, this.#plan.mode, writeShare, isShared)
    checkFloor(plan, this.metadataBytes, this.#holders)
    this.#plan = plan
    this.governor.configure(plan)
    this.#configureReading(plan)
    if (budgetBytes > this.budget.totalBytes) this.budget.setTotal(budgetBytes)
    // Without memory to grow they stay: with less memory there is less garbage.
    this.#held.get('objects')!.resize(plan.objectBytes)
    this.#held.get('worker')!.resize(plan.workerBytes)
    this.memory.setTarget(budgetBytes)
    this.jobs.progress()
  }

  /** Load the blocks of tables that a merge made into the cache, if all of them fit in free memory. Nothing where block reads are slow. */
  warm(tables: readonly Warmed[]): void {
    if (!this.reading.isAsync) this.reading.warmer.add(tables, this.#demand.isQuiet ? this.admission.arenas.releasableBytes : 0)
  }

  /** Upkeep for readers that never yield to the event loop: the governor's timer does not run then. */
  lookAfterReaders(): void {
    this.governor.tick()
    this.reading.look()
  }

  /** Release the engine; the last holder closes it. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    engines.delete(this.budget)
    this.governor.close()
    let isOver!: () => void
    const closing = new Promise<void>(resolve => isOver = resolve)
    closings.set(this.budget, closing)
    try {
      await this.jobs.runner.close()
      await this.reading.asyncReads.idle()
      this.#close()
      this.memory.settleTotal()
    } finally {
      if (closings.get(this.budget) === closing) closings.delete(this.budget)
      isOver()
    }
  }

  /** `release` within this call. Memory of the worker stays leased until its thread has ended. */
  releaseSync(): void {
    if (--this.#holders > 0) return
    engines.delete(this.budget)
    this.governor.close()
    const { runner } = this.jobs
    const ended = runner.close()
    this.#close()
    this.memory.settleTotal()
    if (runner.mode !== 'worker') return
    const lease = this.budget.account('worker').tryLease(this.#plan.workerBytes)
    const release = (): void => lease?.release()
    ended.then(release, (error: Error) => {
      release()
      emitError({ error, readOnly: false })
    })
  }

  #configureReading(plan: BudgetPlan): void {
    const { ghosts } = this.reading
    this.reading.configure(plan)
    if (this.reading.ghosts !== ghosts) this.governor.setGhosts(this.reading.ghosts)
  }

  /** Lease the fixed part of an account until the engine closes. */
  #hold(name: AccountName, bytes: number): Account {
    const account = this.budget.account(name)
    const lease = account.lease(bytes)
    this.#held.set(name, lease)
    this.#closers.push(() => lease.release())
    return account
  }

  #closed<T extends { close(): void }>(part: T): T {
    this.#closers.push(() => part.close())
    return part
  }

  /** Give everything back, in reverse order. */
  #close(): void {
    for (const close of this.#closers.splice(0).reverse()) close()
  }
}

/**
 * What the readers of a budget's stores share: caches and their ghosts, cursor windows, read-ahead, block reads off the main
 * thread, and the list of idle iterators.
 *
 * Accounts: `block cache`, `compressed blocks`, `rows`, `cache ghosts`, `read ahead`, `cold reads`, `iterators`.
 */
import { LinkedList } from '../../base/linked-list.ts'
import { BlockCache } from '../../cache/block-cache.ts'
import { Ghosts } from '../../cache/ghosts.ts'
import { ReadCache } from '../../cache/read-cache.ts'
import { TwoLevelCache } from '../../cache/two-level-cache.ts'
import type { Host } from '../../host/host.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Budget, Lease } from '../../memory/budget.ts'
import { Overdraft } from '../../memory/overdraft.ts'
import { WindowPool } from '../../memory/windows.ts'
import { CachedBlocks } from '../../table/block/block-source.ts'
import { ReadAhead } from '../../table/block/read-ahead.ts'
import type { Settings } from '../api/settings.ts'
import { HEADROOM_BYTES } from './arena-pool.ts'
import { AsyncBlockReads } from './async-block-reads.ts'
import { GHOST_SHARE, READING_BYTES } from './budget-plan.ts'
import type { BudgetPlan } from './budget-plan.ts'
import { CacheWarmer } from './cache-warmer.ts'

type ReadOptions = Pick<Settings, 'compressedCache' | 'rowCache' | 'coldReads'>

const MEASURED = ['block cache', 'compressed blocks', 'rows'] as const
/** Bytes of iterator objects leased at a time. */
const OBJECTS_STEP_BYTES = 32 * 1024

export class ReadResources {
  readonly cache: ReadCache
  readonly blocks: CachedBlocks
  readonly windows: WindowPool
  readonly asyncReads: AsyncBlockReads
  readonly warmer: CacheWarmer
  /** The objects of iterators: one is opened even when there is no memory for them. */
  readonly iteratorObjects: Overdraft
  /** Iterators that hold a scan or prefetched entries between two calls, oldest first. The value releases one of the two. */
  readonly idleScans = new LinkedList<() => void>()
  /** Many cache misses or table lookups since the last `look`: call it between two reads. */
  isLookDue = false
  readonly #budget: Budget
  readonly #ghostsAccount
  readonly #readAhead: ReadAhead
  readonly #options: ReadOptions
  readonly #reclaimers: (() => void)[]
  #ghosts: Ghosts | undefined
  #ghostLease: Lease | undefined
  #nextTableId = 1

  /** `lend`: asks for memory of free arenas, when no store writes. */
  constructor(host: Host, budget: Budget, kernels: Kernels, plan: () => BudgetPlan, options: ReadOptions, lend: (bytes: number) => void) {
    this.#budget = budget
    this.#options = options
    const { rowSlotBytes, keepWindowBytes } = plan()
    this.#ghostsAccount = budget.account('cache ghosts')
    const [first, second, rows, iterators] = [budget.account('block cache'), budget.account('compressed blocks'), budget.account('rows'), budget.account('iterators')]
    const levels = new TwoLevelCache(new BlockCache(first, { makeRoom: lend }), second, () => host.clock.nowMs())
    levels.isEnabled = options.compressedCache
    levels.onWindow = () => { this.isLookDue = true }
    this.cache = new ReadCache(levels, rows, rowSlotBytes)
    first.measure = () => levels.first.measure()
    second.measure = () => levels.measureSecond()
    rows.measure = () => this.cache.rows.measure()
    this.windows = new WindowPool(iterators, keepWindowBytes, READING_BYTES / 2, true)
    this.iteratorObjects = new Overdraft(iterators, OBJECTS_STEP_BYTES, HEADROOM_BYTES)
    this.#readAhead = new ReadAhead(budget.account('read ahead'), () => plan().stretchBytes)
    this.blocks = new CachedBlocks(levels.first, kernels, levels, this.#readAhead)
    this.blocks.onManyGets = () => { this.isLookDue = true }
    this.warmer = new CacheWarmer(host, this.blocks, lend)
    this.asyncReads = new AsyncBlockReads(budget, this.blocks, levels, host.scheduler)
    this.#reclaimers = [
      budget.addReclaimer('freeWindows', bytes => this.windows.releaseFree(bytes)),
      // Neither may starve the other: the larger gives first.
      budget.addReclaimer('cacheIfLarger', bytes => this.cache.bytesHeld > iterators.bytes ? this.cache.shrink(bytes) : 0),
      budget.addReclaimer('idleScans', bytes => this.#releaseIdleScans(bytes)),
      budget.addReclaimer('cache', bytes => this.cache.shrink(bytes)),
    ]
  }

  /** Whether missing blocks are better read off the main thread. */
  get isAsync(): boolean { return this.#options.coldReads || this.cache.blocks.readsAreSlow }
  get ghosts(): Ghosts | undefined { return this.#ghosts }

  takeTableId(): number { return this.#nextTableId++ }

  /** Sizes for a new plan. Ghosts are forgotten when their number changes; without memory for them there are none. */
  configure({ rowTags, ghostBytes, budgetBytes }: BudgetPlan): void {
    if (ghostBytes !== (this.#ghostLease?.bytes ?? 0)) {
      this.cache.setGhosts(undefined)
      this.#ghostLease?.release()
      this.#ghostLease = ghostBytes === 0 ? undefined : this.#ghostsAccount.tryLease(ghostBytes)
      this.#ghosts = this.#ghostLease === undefined ? undefined : new Ghosts(Ghosts.capacityFor(ghostBytes), GHOST_SHARE * budgetBytes)
      this.cache.setGhosts(this.#ghosts)
    }
    this.cache.rows.configure(this.#options.rowCache ? rowTags : 0)
  }

  /** Upkeep that the event loop would do, for callers that never yield to it. */
  look(): void {
    this.isLookDue = false
    this.cache.look()
    this.warmer.step()
  }

  close(): void {
    for (const remove of this.#reclaimers) remove()
    this.asyncReads.close()
    this.warmer.close()
    this.#readAhead.close()
    this.iteratorObjects.close()
    this.windows.close()
    this.#ghostLease?.release()
    this.cache.close()
    for (const name of MEASURED) this.#budget.account(name).measure = undefined
  }

  /** Until `bytes` are free: of all idle iterators their scans, then their prefetched entries. */
  #releaseIdleScans(bytes: number): number {
    const budget = this.#budget
    const before = budget.usedBytes
    for (let idle = this.idleScans.first; idle !== undefined; idle = this.idleScans.first) {
      this.idleScans.delete(idle)
      idle.value()
      this.windows.releaseFree(bytes - (before - budget.usedBytes))
      if (before - budget.usedBytes >= bytes) break
    }
    return before - budget.usedBytes
  }
}

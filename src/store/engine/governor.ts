/**
 * The slow loop over the memory of one budget: memtable size (`memory/sizer.ts`), the boundary between write memory and read cache
 * (`memory/tuner.ts`), and the host's memory pressure.
 *
 * Invariants
 * 1. It only moves limits: nothing waits for it, and no write or read fails because of it.
 * 2. Host pressure shrinks the cache, down to nothing, and future memtables, down to the smallest; writers keep the two smallest
 *    arenas.
 * 3. An unreadable value is unknown; the last known one stays in force.
 * 4. When no store writes for a while and readers would profit, the cache gets the memory of memtables: free arenas, and used ones
 *    by a flush. If writes resume soon after, the next time comes later.
 *
 * Cost: a few additions per write and job; a look every quarter of a second while stores are used, rarely at rest.
 */
import type { BlockCache } from '../../cache/block-cache.ts'
import type { Ghosts } from '../../cache/ghosts.ts'
import type { Host } from '../../host/host.ts'
import { combinePressure } from '../../host/pressure.ts'
import type { Budget } from '../../memory/budget.ts'
import { MemtableSizer, pressureFactor } from '../../memory/sizer.ts'
import { MemoryTuner } from '../../memory/tuner.ts'
import type { ArenaAdmission } from './arena-admission.ts'
import { ArenaLending } from './arena-lending.ts'
import { emitMemory } from '../api/events.ts'
import type { BudgetPlan } from './budget-plan.ts'
import type { GovernorReport } from '../api/reports.ts'

export interface Governed {
  host: Host
  budget: Budget
  /** Counted by writes and jobs. Default: its own. */
  traffic?: Traffic
  cache: Pick<BlockCache, 'stats' | 'bytesHeld' | 'setLimit'>
  ghosts: Ghosts | undefined
  admission: ArenaAdmission
  /** Bytes of all tables. */
  tableBytes: () => number
  /** Point reads that looked into tables, so far. */
  gets: () => number
  /** Make the store with the largest memtable flush, unless a flush runs. */
  makeRoom: () => void
  /** Called after each sample. */
  onSample?: () => void
}

/** Bytes of all stores since the engine began. */
export class Traffic {
  /** Before admission. */
  demandBytes = 0
  writtenBytes = 0
  flushedBytes = 0
  /** Read and written by merges. */
  mergeBytes = 0
}

const TICK_MS = 250
const SIZER_STEP_MS = 1000
/** Interval at rest. */
const LONGEST_TICK_MS = 8000
/**
 * A merged byte is decompressed, compared, written and compressed again, and smaller memtables mean more runs to probe; a missed
 * byte is decompressed. Roughly 11 and 2.4 ns: the difference in CPU seconds between 8 % and 60 % of write memory in `npm run
 * bench:tuner`, and the cost of a miss.
 */
const MERGE_COST = 4
/** One more run costs each get a filter probe: some 0.3 us, where a missed byte takes 2.4 ns. */
const RUN_COST_BYTES = 128
/** Host pressure from which the cache shrinks. */
const PRESSURE_THRESHOLD = 0.85

export class Governor {
  readonly traffic: Traffic
  readonly sizer: MemtableSizer
  readonly #tuner = new MemoryTuner({ mergeCost: MERGE_COST, runCostBytes: RUN_COST_BYTES })
  readonly #governed: Governed
  #plan: BudgetPlan
  #tunes: boolean
  #pressed = false
  #pressureBytes = Infinity
  /** Cache size when the host pressure began. */
  #pressedFromBytes = 0
  /** Last known value of each part of the host. */
  readonly #lastKnown = new Map<string, number>()
  #isStale = false
  #tickedMs: number
  #sizedMs: number
  #tickMs = TICK_MS
  #cancel: (() => void) | undefined
  // At the last sample.
  readonly #reads = { hits: 0, misses: 0, missBytes: 0, ghostHits: 0, ghostHitBytes: 0, gets: 0 }
  readonly #traffic = new Traffic()
  readonly #lending: ArenaLending

  constructor(governed: Governed, plan: BudgetPlan) {
    const { host } = governed
    this.#governed = governed
    this.traffic = governed.traffic ?? new Traffic()
    this.#plan = plan
    this.#tunes = plan.tunes
    this.#lending = new ArenaLending(governed.admission, governed.makeRoom)
    this.sizer = new MemtableSizer({ nowMs: () => host.clock.nowMs(), pressure: () => this.#pressure() }, sizerOptions(governed.admission.limitBytes))
    this.#tickedMs = this.#sizedMs = host.clock.nowMs()
    this.#arm()
  }

  /** A write of `bytes` is requested. */
  recordDemand(bytes: number): void {
    this.sizer.recordWrite(bytes)
    this.traffic.demandBytes += bytes
  }

  /** Other ghosts, or none. */
  setGhosts(ghosts: Ghosts | undefined): void {
    if (this.#governed.ghosts !== undefined) this.#governed.ghosts.onFound = undefined
    this.#governed.ghosts = ghosts
    this.#reads.ghostHits = this.#reads.ghostHitBytes = 0
  }

  /** For a new plan: the share of write memory stays, within the new limits. */
  configure(plan: BudgetPlan): void {
    const { admission } = this.#governed
    const share = admission.limitBytes / this.#plan.writeBytes
    this.#plan = plan
    this.#tunes = plan.tunes
    this.#setWriteBytes(Math.floor(plan.writeBytes * (plan.tunes ? share : 1)))
  }

  /** Look now if it is due: for programs that never yield to the event loop. */
  tick(): void {
    const nowMs = this.#governed.host.clock.nowMs()
    if (nowMs - this.#sizedMs >= SIZER_STEP_MS) {
      this.#sizedMs = nowMs
      this.sizer.update()
      this.#yieldToHost()
    }
    const elapsedMs = nowMs - this.#tickedMs
    if (elapsedMs < TICK_MS) return
    this.#tickedMs = nowMs
    this.#sample(nowMs, Math.round(elapsedMs / TICK_MS))
  }

  close(): void {
    if (this.#governed.ghosts !== undefined) this.#governed.ghosts.onFound = undefined
    this.#cancel?.()
  }

  report(): GovernorReport {
    const { admission, host } = this.#governed
    const { sizeBytes, rateBytesPerSecond, pressure, pressureKnown } = this.sizer.stats()
    return {
      memtable: { sizeBytes, rateBytesPerSecond, ...(pressure === undefined ? {} : { pressure }), pressureKnown: pressureKnown && !this.#isStale },
      credits: { limitBytes: admission.limitBytes, usedBytes: admission.usedBytes, waiting: admission.waiting },
      tuner: {
        enabled: this.#tunes, writeBytes: admission.limitBytes, cacheBytes: this.#cacheRoom, standing: this.#tuner.standing,
        decisions: this.#tuner.decisions.slice(),
      },
      host: {
        parts: Object.fromEntries(host.pressure().parts.map(({ name, value }) => [name, value ?? null])),
        ...(this.#pressureBytes === Infinity ? {} : { cacheLimitBytes: this.#pressureBytes }),
      },
    }
  }

  /** Cache size, or what it could reach if writers used all their memory. */
  get #cacheRoom(): number {
    const { cache, budget, admission } = this.#governed
    return Math.max(0, cache.bytesHeld + budget.totalBytes - budget.usedBytes - Math.max(0, admission.limitBytes - admission.arenas.bytes))
  }

  #arm(): void {
    this.#cancel = this.#governed.host.scheduler.later(this.#tickMs, () => {
      const { traffic } = this
      const { hits, misses } = this.#governed.cache.stats()
      const isIdle = hits === this.#reads.hits && misses === this.#reads.misses && traffic.demandBytes === this.#traffic.demandBytes
      this.#tickMs = isIdle ? Math.min(LONGEST_TICK_MS, 2 * this.#tickMs) : TICK_MS
      this.tick()
      this.#arm()
    }, true)
    // Writers look by themselves. Readers without misses need nothing.
    const { ghosts } = this.#governed
    if (ghosts !== undefined && this.#tunes) ghosts.onFound = this.#tickMs > TICK_MS ? this.#wake : undefined
  }

  /** Reads have begun again. */
  readonly #wake = (): void => {
    this.#cancel?.()
    this.#tickMs = TICK_MS
    this.#arm()
  }

  #sample(nowMs: number, intervals: number): void {
    const { cache, ghosts, admission, tableBytes } = this.#governed
    const { hits, misses, missBytes } = cache.stats()
    const reads = { hits, misses, missBytes, ghostHits: ghosts?.hits ?? 0, ghostHitBytes: ghosts?.hitBytes ?? 0, gets: this.#governed.gets() }
    const before = this.#reads
    const newGhostHits = reads.ghostHits - before.ghostHits
    const { traffic } = this
    const last = this.#traffic
    const { minWriteBytes, maxWriteBytes, minCacheBytes } = this.#plan
    const decision = !this.#tunes || this.#pressed ? undefined : this.#tuner.decide({
      nowMs, intervals, writeBytes: admission.limitBytes, cacheBytes: this.#cacheRoom, minWriteBytes, maxWriteBytes, minCacheBytes,
      dataBytes: tableBytes(),
      hits: hits - before.hits, misses: misses - before.misses, missBytes: missBytes - before.missBytes,
      ghostHits: newGhostHits, ghostHitBytes: reads.ghostHitBytes - before.ghostHitBytes, ghostBytes: ghosts?.bytes ?? 0,
      demandBytes: traffic.demandBytes - last.demandBytes, writtenBytes: traffic.writtenBytes - last.writtenBytes,
      flushedBytes: traffic.flushedBytes - last.flushedBytes, mergeBytes: traffic.mergeBytes - last.mergeBytes,
      gets: reads.gets - before.gets,
    })
    Object.assign(before, reads)
    Object.assign(last, traffic)
    if (this.#tunes && !this.#pressed) this.#lending.sample(this.#tuner.only === 'cache', newGhostHits, traffic.writtenBytes)
    this.#governed.onSample?.()
    if (decision === undefined) return
    this.#setWriteBytes(decision.toWriteBytes)
    emitMemory({ cause: 'tuner', writeBytes: decision.toWriteBytes, cacheBytes: decision.toCacheBytes, why: decision.why })
  }

  #setWriteBytes(wanted: number): void {
    const { minWriteBytes, maxWriteBytes } = this.#plan
    const bytes = Math.min(maxWriteBytes, Math.max(minWriteBytes, wanted))
    this.#governed.admission.setLimit(bytes)
    this.sizer.configure(sizerOptions(bytes))
  }

  /** Under host memory pressure the cache is the first to go. */
  #yieldToHost(): void {
    const { host, cache, admission } = this.#governed
    const { pressure } = host.pressure()
    if (pressure === undefined) return
    const factor = pressureFactor(pressure, PRESSURE_THRESHOLD)
    if (factor < 1 && !this.#pressed) this.#pressedFromBytes = cache.bytesHeld
    const limitBytes = factor === 1 ? Infinity : Math.floor(factor * this.#pressedFromBytes)
    if (limitBytes === this.#pressureBytes) return
    const before = cache.bytesHeld
    this.#pressed = factor < 1
    this.#pressureBytes = limitBytes
    cache.setLimit(limitBytes)
    if (!this.#pressed) return
    admission.arenas.releaseFree(Infinity)
    const given = before - cache.bytesHeld
    if (given > 0) {
      const cacheBytes = cache.bytesHeld
      emitMemory({ cause: 'pressure', writeBytes: admission.limitBytes, cacheBytes, why: `host pressure ${pressure.toFixed(2)}: ${given} bytes of cache given back` })
    }
  }

  /** Of the host, and of this budget without the block cache, which fills all free memory. */
  #pressure(): number | undefined {
    const { host, budget, cache, admission } = this.#governed
    const { totalBytes, usedBytes } = budget
    const value = totalBytes === 0 ? undefined : (usedBytes - cache.bytesHeld - admission.arenas.bytes) / totalBytes
    this.#isStale = false
    const parts = host.pressure().parts.map(part => {
      if (part.value === undefined) this.#isStale = true
      else this.#lastKnown.set(part.name, part.value)
      return { name: part.name, value: this.#lastKnown.get(part.name) }
    })
    return combinePressure([...parts, { name: 'budget', value }]).pressure
  }
}

/**
 * The largest memtable is half of the write memory: one is filled while the other is flushed. A slow writer gets less once it is
 * known to be slow: loads begin at once, and small memtables cause many merges.
 */
function sizerOptions(writeBytes: number): { baseBytes: number, maxBytes: number } {
  const maxBytes = Math.floor(writeBytes / 2)
  return { baseBytes: maxBytes, maxBytes }
}

/**
 * Where the boundary between write memory (memtables) and read cache belongs: where a byte saves as much I/O on either side. After
 * the idea of Luo and Carey, "Breaking Down Memory Walls" (arXiv 2004.10360).
 *
 * Worth of a step of s bytes, in bytes of I/O over the observed time:
 * - to the cache: misses that found their ghost, s / (extent of the ghosts) of them.
 * - to write memory: a byte is merged about log(data / memtable) times, so M bytes of merge I/O become M x ln(data / larger
 *   memtable) / ln(data / memtable). A merged byte may count as several read bytes (`mergeCost`). Larger memtables also leave fewer
 *   runs for gets to probe (`runCostBytes`).
 *
 * Its cost to the other side is computed alike; for the cache it is a lower bound, since the worth of its last bytes is unknown. So
 * a move to write memory may prove wrong; then ghosts are found and it is undone.
 *
 * An idle side is worth nothing, which traffic shows at once: then no estimate is needed, and every sample may move a step. A wrong
 * guess costs a cache to refill, or an early flush. Sides that take short turns are not idle in between: pauses are remembered.
 *
 * Invariants
 * 1. It only decides: the caller moves. Bounds are never crossed, and a move is a few percent.
 * 2. No move without evidence: enough reads, or memtables of writes, since the last move. An idle side needs none, but the other
 *    must be in use and profit.
 * 3. No move for less than a thousandth of the I/O, nor unless it is worth clearly more than it costs.
 * 4. A move that is undone soon is regretted: the next in its direction is half as large and comes twice as late. So where
 *    estimates mislead, the boundary settles instead of swinging.
 */
import { invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import type { TunerSample } from './tuner-sample.ts'
import { Evidence, IDLE_SAMPLES, MergeAmplification, Pauses } from './tuner-evidence.ts'

export interface TunerOptions {
  /** Largest move, as a share of all memory. Default 0.05. */
  stepShare?: number
  /** Smallest move. Default 0.005. */
  smallestStepShare?: number
  /** How much more than its cost a move must be worth, as a share of the cost. Default 0.3. */
  hysteresis?: number
  /** A full step must save this share of all I/O. Default 0.001. */
  minSavedShare?: number
  /** Minimum reads (hits and misses) to judge the cache. Default 1000. */
  minReads?: number
  /** Minimum ghost hits before the cache may grow. Default 16. */
  minGhostHits?: number
  /** Minimum writes to judge memtables, in memtables; four times as many the first time. Default 4. */
  minMemtables?: number
  /** Samples after which a side that still says too little counts as idle. Default 5. */
  patience?: number
  /** Cost of a merged byte, in missed bytes. Default 1. */
  mergeCost?: number
  /** Cost of one more run for a get, in missed bytes. Default 0. */
  runCostBytes?: number
  /** Memtables that share the write memory. Default 2. */
  memtables?: number
  /** Granularity of moves. Default 64 KiB. */
  grainBytes?: number
  /** Decisions remembered. Default 32. */
  maxDecisions?: number
}

export type TunerDirection = 'cache' | 'write'

export interface TunerDecision {
  readonly atMs: number
  /** The side that grows. */
  readonly to: TunerDirection
  readonly fromWriteBytes: number
  readonly toWriteBytes: number
  readonly fromCacheBytes: number
  readonly toCacheBytes: number
  /** In words, with figures. */
  readonly why: string
}

const DEFAULTS: Required<TunerOptions> = {
  stepShare: 0.05, smallestStepShare: 0.005, hysteresis: 0.3, minSavedShare: 0.001, minReads: 1000, minGhostHits: 16, minMemtables: 4,
  patience: 5, mergeCost: 1, runCostBytes: 0, memtables: 2, grainBytes: 64 * 1024, maxDecisions: 32,
}

/** Factor on `minMemtables` before the first judgement of merges. */
const FIRST_JUDGEMENT = 4
/** Hardly used: less than this share of `minReads`, or of a memtable written. */
const HARDLY = 1 / 512
/** In use: `minReads` reads in one sample, or this share of a memtable written. */
const IN_USE = 1 / 64
/** Maximum evidence of a quiet side, in patiences. */
const PATIENCES_REMEMBERED = 8
/** A move undone within this many samples is regretted; within fewer when the other side was idle: phases are no mistakes. */
const REGRET_SAMPLES = 16
const IDLE_REGRET_SAMPLES = 4
/** Half of the wait of a regretted direction, in samples; doubled with every regret. */
const FIRST_WAIT_SAMPLES = 4
const MAX_REGRETS = 6
/** Change of the logarithm of reads per write that makes another workload. */
const OTHER_WORKLOAD = Math.log(3)
/** Writes over which merge amplification is measured. */
const HORIZON_MEMTABLES = 64
/** Growth of run sizes from one merge to the next, before any was seen. */
const USUAL_FANOUT = 4
/** Average runs of one size: none after a merge, USUAL_FANOUT - 1 before the next. */
const RUNS_A_SIZE = (USUAL_FANOUT - 1) / 2
/** Maximum factor of held-back demand on the weight of merges. */
const MAX_DEMAND_FACTOR = 4

interface Worth {
  /** I/O bytes (merges times their cost) a full step saves on this side, and costs the other. */
  saved: number
  lost: number
}

export class MemoryTuner {
  readonly #options: Required<TunerOptions>
  readonly #decisions: TunerDecision[] = []
  readonly #amplification = new MergeAmplification()
  #evidence = new Evidence()
  #standing = 'no sample yet'
  #last: { to: TunerDirection; bytes: number; isUndo: boolean } | undefined
  #samplesSinceMove = 0
  readonly #reading = new Pauses()
  readonly #writing = new Pauses()
  /** The side in use while the other is idle. */
  #only: TunerDirection | undefined
  /** Regretted moves by direction, less those followed by another. */
  readonly #regrets: Record<TunerDirection, number> = { cache: 0, write: 0 }
  /** `#mix` at the last move of a direction that was no undoing. */
  readonly #mixAt: Record<TunerDirection, number> = { cache: 0, write: 0 }

  /** Throws INVALID_ARGUMENT. */
  constructor(options: TunerOptions = {}) {
    this.#options = { ...DEFAULTS, ...options }
    for (const [name, value] of Object.entries(this.#options)) {
      if (value >= 0 && value < Infinity) continue
      throw invalidArgument(`${name} of the memory tuner must be a number from 0, not ${String(value)}`)
    }
    const { stepShare, smallestStepShare, mergeCost, memtables, grainBytes } = this.#options
    if (!(stepShare > 0 && stepShare <= 0.5 && smallestStepShare <= stepShare && memtables >= 1 && grainBytes >= 1 && mergeCost > 0)) {
      throw invalidArgument(
        'the memory tuner needs 0 <= smallestStepShare <= stepShare, 0 < stepShare <= 0.5, memtables >= 1, grainBytes >= 1 and mergeCost > 0, not ' +
        `${smallestStepShare}, ${stepShare}, ${memtables}, ${grainBytes}, ${mergeCost}`, { ...this.#options })
    }
  }

  /** Latest moves, oldest first. */
  get decisions(): readonly TunerDecision[] { return this.#decisions }
  /** The side that has been in use alone for some samples. */
  get only(): TunerDirection | undefined { return this.#only }
  /** The outcome of the latest sample, in words. */
  get standing(): string { return this.#standing }

  /** Take a sample; returns a decision when memory should move now. Throws INVALID_ARGUMENT for a number below 0 or NaN. */
  decide(sample: TunerSample): TunerDecision | undefined {
    checkSample(sample)
    const { minReads, minMemtables, patience, mergeCost, memtables } = this.#options
    const memtableBytes = Math.max(1, sample.writeBytes / memtables)
    this.#amplification.add(sample.writtenBytes, mergeCost * sample.mergeBytes, HORIZON_MEMTABLES * memtableBytes)
    this.#samplesSinceMove++
    const only = this.#onlyUsed(sample, memtableBytes)
    // Earlier samples say nothing of a side that is idle now.
    if (only !== undefined && only !== this.#only && this.#evidence.samples >= IDLE_SAMPLES) this.#evidence = new Evidence()
    this.#only = only
    // A sample right after a move still reflects the old sizes; that matters where both sides are weighed.
    if (this.#last !== undefined && this.#samplesSinceMove === 1 && this.#last.to !== only) return this.#stay('settling after a move')

    const evidence = this.#evidence
    evidence.add(sample)
    const leastBytes = minMemtables * memtableBytes
    const readsKnown = only === 'cache' || (only === undefined && evidence.reads >= minReads)
    const writesKnown = only === 'write' || (only === undefined && evidence.writtenBytes > 0 && evidence.writtenBytes >= leastBytes &&
      this.#isAmplificationKnown(sample))
    // Less than two turns of both sides would show one of them only.
    const turnSamples = 2 * (this.#reading.usual + this.#writing.usual)
    if (only === undefined && evidence.samples < (readsKnown && writesKnown ? turnSamples : Math.max(patience, turnSamples))) {
      return this.#stay(`gathering: ${Math.round(evidence.reads)} reads, ${sizeOf(evidence.writtenBytes)} written so far`)
    }
    const decision = readsKnown || writesKnown
      ? this.#weigh(sample, readsKnown, writesKnown)
      : this.#stay('too few reads and writes to judge')
    if (decision !== undefined) this.#evidence = new Evidence()
    // A quiet side may take its time.
    else if ((readsKnown && writesKnown) || evidence.samples >= PATIENCES_REMEMBERED * patience) evidence.halve()
    return decision
  }

  /** The side in use while the other has been idle for a moment. */
  #onlyUsed(sample: TunerSample, memtableBytes: number): TunerDirection | undefined {
    const { minReads } = this.#options
    const reads = sample.hits + sample.misses
    const { intervals = 1 } = sample
    this.#reading.count(reads > HARDLY * minReads * intervals, intervals)
    this.#writing.count(sample.writtenBytes > HARDLY * memtableBytes * intervals, intervals)
    if (this.#reading.isIdle && sample.writtenBytes >= IN_USE * memtableBytes) return 'write'
    if (this.#writing.isIdle && reads >= minReads) return 'cache'
    return undefined
  }

  #weigh(sample: TunerSample, readsKnown: boolean, writesKnown: boolean): TunerDecision | undefined {
    const { stepShare, hysteresis, minSavedShare, minGhostHits, mergeCost, memtables } = this.#options
    const evidence = this.#evidence
    const stepBytes = stepShare * (sample.writeBytes + sample.cacheBytes)
    const cacheWorth = ghostWorth(evidence, stepBytes)
    const merges = this.#mergeIo()
    const costly = this.#isAmplificationKnown(sample) ? merges : Math.max(merges, mergeCost * usualMergeIo(sample, evidence, memtables))
    const toCache: Worth = { saved: cacheWorth, lost: costly * mergeShare(sample, -stepBytes, memtables) + this.#runIo(sample, -stepBytes) }
    const toWrite: Worth = { saved: merges * mergeShare(sample, stepBytes, memtables) + this.#runIo(sample, stepBytes), lost: cacheWorth }
    const least = minSavedShare * (evidence.missBytes + evidence.flushedBytes + merges)
    const pays = ({ saved, lost }: Worth): boolean => saved > lost * (1 + hysteresis) && saved - lost > least

    // Nothing moves to a side that has just become idle.
    if (readsKnown && this.#reading.goesOn && evidence.ghostHits >= minGhostHits && pays(toCache)) {
      return this.#move(sample, 'cache', `${sizeOf(stepBytes)} more cache would have saved ${sizeOf(toCache.saved)} of reads ` +
        `(${Math.round(evidence.ghostHits)} misses found their ghost) and cost ${sizeOf(toCache.lost / mergeCost)} of merges and of runs to look through`)
    }
    if (writesKnown && this.#writing.goesOn && pays(toWrite)) {
      return this.#move(sample, 'write', `${sizeOf(stepBytes)} more write memory would have saved ${sizeOf(toWrite.saved / mergeCost)} of ` +
        `${sizeOf(merges / mergeCost)} of merges and cost at least ${sizeOf(toWrite.lost)} of reads`)
    }
    return this.#stay(`balanced: ${sizeOf(stepBytes)} are worth ${sizeOf(cacheWorth)} of reads to the cache, ` +
      `${sizeOf(toWrite.saved / mergeCost)} of merges to write memory`)
  }

  #move(sample: TunerSample, to: TunerDirection, why: string): TunerDecision | undefined {
    const { stepShare, smallestStepShare, grainBytes } = this.#options
    const last = this.#last
    const only = this.#only
    const isUndo = last !== undefined && !last.isUndo && last.to !== to &&
      this.#samplesSinceMove <= (only === undefined ? REGRET_SAMPLES : IDLE_REGRET_SAMPLES)
    const mix = this.#mix()
    // Regrets belong to a workload: under another one, or when one side has long been idle, they expire.
    const idleSamples = to === 'write' ? this.#reading.samples : this.#writing.samples
    if (Math.abs(mix - this.#mixAt[to]) > OTHER_WORKLOAD || idleSamples >= REGRET_SAMPLES) this.#regrets[to] = 0
    const regrets = this.#regrets[to]
    if (regrets > 0 && !isUndo) {
      const wait = FIRST_WAIT_SAMPLES * 2 ** regrets
      if (this.#samplesSinceMove < wait) {
        return this.#stay(`waiting ${wait - this.#samplesSinceMove} samples, as such moves were undone: ${why}`)
      }
    }
    const shareBytes = Math.max(smallestStepShare, stepShare / 2 ** regrets) * (sample.writeBytes + sample.cacheBytes)
    const room = to === 'cache'
      ? sample.writeBytes - sample.minWriteBytes
      : Math.min(sample.maxWriteBytes - sample.writeBytes, sample.cacheBytes - sample.minCacheBytes)
    const wanted = isUndo ? last.bytes : Math.max(grainBytes, shareBytes)
    const bytes = Math.floor(Math.min(wanted, room) / grainBytes) * grainBytes
    if (!(bytes > 0)) return this.#stay(`at the bounds of write memory and cache: ${why}`)

    if (isUndo) this.#regrets[last.to] = Math.min(MAX_REGRETS, this.#regrets[last.to] + 1)
    else this.#mixAt[to] = mix
    if (!isUndo && last?.to === to && regrets > 0) this.#regrets[to]--
    this.#last = { to, bytes, isUndo }
    this.#samplesSinceMove = 0
    const signed = to === 'cache' ? bytes : -bytes
    const decision: TunerDecision = {
      atMs: sample.nowMs, to,
      fromWriteBytes: sample.writeBytes, toWriteBytes: sample.writeBytes - signed,
      fromCacheBytes: sample.cacheBytes, toCacheBytes: sample.cacheBytes + signed,
      why: isUndo ? `undone: ${why}` : why,
    }
    this.#decisions.push(decision)
    if (this.#decisions.length > this.#options.maxDecisions) this.#decisions.shift()
    this.#standing = `moved ${formatSize(bytes)} to ${to === 'cache' ? 'the cache' : 'write memory'}: ${decision.why}`
    return decision
  }

  /** Enough was written to know the merge amplification. */
  #isAmplificationKnown(sample: TunerSample): boolean {
    const { minMemtables, memtables } = this.#options
    return this.#amplification.writtenBytes >= FIRST_JUDGEMENT * minMemtables * sample.writeBytes / memtables
  }

  /** Cost of the merges caused by these writes, weighted up when writers wanted to write more. */
  #mergeIo(): number {
    const { demandBytes, writtenBytes } = this.#evidence
    return this.#amplification.value * Math.max(writtenBytes, Math.min(demandBytes, MAX_DEMAND_FACTOR * writtenBytes))
  }

  /**
   * What gets save (or pay) for the runs that larger (smaller) memtables remove (add): RUNS_A_SIZE runs of each of ln(data /
   * memtable) / ln(USUAL_FANOUT) sizes.
   */
  #runIo(sample: TunerSample, stepBytes: number): number {
    if (!this.#writing.goesOn) return 0
    const smaller = Math.max(1, Math.min(sample.writeBytes, sample.writeBytes + stepBytes))
    const larger = Math.max(sample.writeBytes, sample.writeBytes + stepBytes)
    return this.#evidence.gets * this.#options.runCostBytes * RUNS_A_SIZE * Math.log(larger / smaller) / Math.log(USUAL_FANOUT)
  }

  /** Logarithm of reads per 4 KiB written: identifies a workload, whatever the sizes. */
  #mix(): number {
    const { samples, reads, writtenBytes } = this.#evidence
    return Math.log((1 + reads / samples) / (1 + writtenBytes / samples / 4096))
  }

  #stay(why: string): undefined {
    this.#standing = why
    return undefined
  }
}

/** Reads saved by a cache larger by `stepBytes`. */
function ghostWorth(evidence: Evidence, stepBytes: number): number {
  if (evidence.ghostHitBytes === 0) return 0
  const extent = evidence.ghostBytes / evidence.samples
  return evidence.ghostHitBytes * Math.min(1, stepBytes / Math.max(1, extent))
}

/** Usual merges of these writes: one per run size between a memtable and all data, compressed to half. */
function usualMergeIo(sample: TunerSample, evidence: Evidence, memtables: number): number {
  return evidence.writtenBytes * depthOf(sample, memtables) / Math.log(USUAL_FANOUT)
}

/** Share of merge I/O that `stepBytes` more write memory saves (negative: costs). */
function mergeShare(sample: TunerSample, stepBytes: number, memtables: number): number {
  const smaller = Math.max(1, Math.min(sample.writeBytes, sample.writeBytes + stepBytes))
  const larger = Math.max(1, sample.writeBytes, sample.writeBytes + stepBytes)
  return Math.min(1, Math.log(larger / smaller) / depthOf(sample, memtables))
}

/** ln(data / memtable); at least a minimum, since with little more data there is nothing to merge. */
function depthOf(sample: TunerSample, memtables: number): number {
  return Math.max(1, Math.log(Math.max(1, sample.dataBytes) * memtables / Math.max(1, sample.writeBytes)))
}

function sizeOf(bytes: number): string {
  return formatSize(Math.round(bytes))
}

function checkSample(sample: TunerSample): void {
  for (const [name, value] of Object.entries(sample)) {
    if (typeof value === 'number' && value >= 0 && value < Infinity) continue
    throw invalidArgument(`${name} of a memory tuner's sample must be a finite number from 0, not ${String(value)}`)
  }
}

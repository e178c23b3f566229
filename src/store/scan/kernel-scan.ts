/**
 * The visible entries of a range, forward, many at a time: the wasm kernel merges the runs and leaves packed rows.
 *
 * Invariants
 * 1. It yields the same entries in the same order as a `Scan` at the same snapshot.
 * 2. Between two calls it keeps a position in each run and no block: each call loads the blocks into the kernel again.
 * 3. It reports what it cannot do (blocks or keys too large for a slot, references to value files, more runs than slots); a `Scan`
 *    takes over.
 * 4. It is valid for one generation of the view. Memtables are seeked again in each call, so writes between two calls do not
 *    matter.
 * 5. A call that finds nothing visible in MAX_BLOCKS blocks ends without rows; the next one continues.
 *
 * Account: `iterators`, for the objects. Cost: loading the sources in each call (`kernel-scan-sources.ts`), and a copy of each row.
 */
import { compareBytes } from '../../base/bytes.ts'
import { MAX_KERNEL_KEY_BYTES, SCAN_BOUND, SCAN_END, SCAN_FULL, SCAN_INPUT, ScanKernel } from '../../kernels/scan-kernel.ts'
import type { Lease } from '../../memory/budget.ts'
import type { StoreState } from '../state/store-state.ts'
import { OVER, KernelScanSources, UNFIT } from './kernel-scan-sources.ts'

/** Measured: a scan with the cursors of two memtables; the position in a run. */
const SCAN_OBJECTS_BYTES = 2048
const RUN_OBJECTS_BYTES = 1024

/** Blocks without visible entries before the first row from which the empty range is remembered. */
const MANY_BLOCKS = 16
/** Next to a known empty range, so that it grows with deletions. */
const FEW_BLOCKS = 2
/** Blocks without visible entries in one call: a millisecond or two. */
const MAX_BLOCKS = 256

/** Cost, in runs a get probes, of seeking in one more run, and of an entry that comes from several (a half). */
const SOUGHT_READS = 20

/** Result of `fill`: the range is exhausted. */
export const FILL_DONE = 0
/** There may be more. */
export const FILL_MORE = 1
/** A `Scan` must continue after the rows at hand: this scan has lost its position. */
export const FILL_STOPPED = 2

/** It skipped an empty range and starts again behind it. */
const LED = 3
const KEYS_ONLY = { withKeys: true, withValues: false, costBytes: 0, keyEighths: 0, valueEighths: 0 }

/** Provides the key to continue at; undefined: the very first. */
export interface KnowsStart {
  startKey(): Uint8Array | undefined
}

/** Size limits of rows, see `ScanKernel.cost`. */
export interface RowShape {
  readonly withKeys: boolean
  readonly withValues: boolean
  readonly costBytes: number
  readonly keyEighths: number
  readonly valueEighths: number
}

export class KernelScan {
  readonly generation: number
  readonly kernel: ScanKernel
  readonly heldBytes: number
  /** The last walk ran out of time or blocks. */
  isCut = false
  readonly #core: StoreState
  readonly #snapshotSeq: number
  readonly #lease: Lease
  readonly #sources: KernelScanSources
  /** The requested start, and an equivalent one behind the empty range, for runs that were not seeked yet. */
  #wish: Uint8Array | undefined
  #target: Uint8Array | undefined
  #isPlaced = false
  /** The last decided key, while older versions of it may follow. */
  #seen: Uint8Array | undefined
  /** Blocks without visible entries since the last seek, and whether an empty range was skipped. */
  #isInVain = false
  #blocksInVain = 0
  #isLed = false

  /** Undefined without memory, or with too many runs. `bypassesCache`: does not change the cache. */
  static open(core: StoreState, snapshotSeq: number, bypassesCache = false): KernelScan | undefined {
    const kernel = ScanKernel.of(core.engine.kernels)
    if (kernel === undefined) return undefined
    let runs = 0
    for (const run of core.view.tree.runs) if (run.minSeq <= snapshotSeq && run.pointReaders.length > 0) runs++
    const memtables = 1 + core.view.sealed.length
    if (!kernel.layOut(runs + memtables, core.settings.blockBytes)) return undefined
    const bytes = SCAN_OBJECTS_BYTES + runs * RUN_OBJECTS_BYTES
    const lease = core.engine.reading.windows.account.tryLease(bytes)
    return lease === undefined ? undefined : new KernelScan(core, snapshotSeq, kernel, lease, bypassesCache)
  }

  private constructor(core: StoreState, snapshotSeq: number, kernel: ScanKernel, lease: Lease, bypassesCache: boolean) {
    this.generation = core.view.generation
    this.kernel = kernel
    this.heldBytes = lease.bytes
    this.#core = core
    this.#snapshotSeq = snapshotSeq
    this.#lease = lease
    this.#sources = new KernelScanSources(core, snapshotSeq, kernel, bypassesCache)
  }

  /** Blocks since the last seek before anything was found. */
  get blocksInVain(): number { return this.#blocksInVain }

  close(): void {
    this.#lease.release()
  }

  /** Move to the first entry at or after the key; undefined: the very first. Takes effect in the next `fill`. */
  seek(key: Uint8Array | undefined): void {
    this.#wish = key
    this.#target = this.#core.emptyRange.skip(key, this.#snapshotSeq)
    this.#isLed = this.#target !== key
    this.#isPlaced = false
    this.#isInVain = true
    this.#blocksInVain = 0
    this.#seen = undefined
  }

  /**
   * End of the range from a key on in which nothing is visible: before the first row, or as far as the limits allow. Undefined:
   * unknown, or not even up to the next key.
   */
  walk(key: Uint8Array, mostBlocks: number, untilMs: number): Uint8Array | undefined {
    this.seek(key)
    const { kernel } = this
    const result = this.fill({ startKey: () => key }, undefined, KEYS_ONLY, 1, Infinity, mostBlocks, untilMs)
    this.isCut = result === FILL_MORE && kernel.rows === 0
    if (result === FILL_STOPPED || this.#blocksInVain === 0) return undefined
    return kernel.rows > 0 ? kernel.firstKey() : this.#behindSeen()
  }

  /**
   * Put up to `rows` rows from the position into the kernel, within the decoded size limit (the first row always). `from`: start
   * for the memtables; `bound`: the first key behind the range. There may be no rows although there are more.
   */
  fill(
    from: KnowsStart, bound: Uint8Array | undefined, row: RowShape, rows: number, takenBytes: number,
    mostBlocks = MAX_BLOCKS, untilMs = Infinity,
  ): number {
    let result: number
    do result = this.#fill(from, bound, row, rows, takenBytes, mostBlocks, untilMs)
    while (result === LED)
    return result
  }

  #fill(
    from: KnowsStart, bound: Uint8Array | undefined, row: RowShape, rows: number, takenBytes: number,
    mostBlocks: number, untilMs: number,
  ): number {
    const { kernel } = this
    const sources = this.#sources
    if (bound !== undefined && bound.length > MAX_KERNEL_KEY_BYTES) return this.#stopped()
    if (!kernel.layOut(sources.count, this.#core.settings.blockBytes)) return this.#stopped()
    kernel.begin(this.#snapshotSeq, bound, row.withKeys || sources.hasRanges, row.withValues)
    kernel.cost(row.costBytes, row.keyEighths, row.valueEighths)
    kernel.clear(rows, takenBytes)
    if (this.#seen !== undefined) kernel.setSeen(this.#seen)
    sources.begin(rows)
    const isFirst = !this.#isPlaced
    const inRuns = sources.showRuns(isFirst, this.#target)
    if (inRuns === UNFIT) return this.#stopped()
    const count = sources.hasMemory ? sources.showMemory(inRuns, isFirst ? this.#target : from.startKey()) : inRuns
    if (count === UNFIT) return this.#stopped()
    this.#isPlaced = true
    if (sources.hasSpilled) return this.#stopped()
    sources.start(count)
    const result = this.#run(rows, mostBlocks, untilMs)
    if (result === LED) return LED
    if (this.#isInVain && !sources.hasSpilled) this.#noteDead(row.withKeys)
    if (sources.hasRanges) kernel.drop(sources.isCovered)
    if (kernel.rows > 0) this.#isInVain = false
    if (inRuns > 1) this.#core.view.tree.runReads += isFirst ? SOUGHT_READS * (inRuns - 1) + (kernel.rows >>> 1) : kernel.rows >>> 1
    return result
  }

  #run(rows: number, mostBlocks: number, untilMs: number): number {
    const { kernel } = this
    const sources = this.#sources
    let result = -1
    let found = 0
    let blocksInVain = 0
    const before = this.#seen
    this.#seen = undefined
    while (result < 0) {
      const event = kernel.run()
      const count = kernel.rows
      if (event === SCAN_INPUT) {
        if (count === found) {
          blocksInVain++
          if (count === 0) this.#blocksInVain++
          sources.wantMore()
        } else {
          found = count
          blocksInVain = 0
        }
        // Blocks of deleted entries do not go into the cache.
        const next = sources.next(kernel.top, count === 0 && this.#blocksInVain > FEW_BLOCKS)
        if (next === UNFIT) {
          if (sources.hasSpilled) return this.#stopped()
          result = FILL_STOPPED
        } else {
          kernel.settleTop(next === OVER)
          if (count === 0 && blocksInVain >= FEW_BLOCKS && this.#lead()) return LED
          if ((count === rows || blocksInVain >= mostBlocks || this.#isLate(untilMs)) && this.#hasMoved(before)) {
            this.#seen = kernel.seenKey()
            result = FILL_MORE
          }
        }
      } else if (event === SCAN_BOUND || event === SCAN_END) {
        result = FILL_DONE
      } else {
        result = event === SCAN_FULL ? FILL_MORE : FILL_STOPPED
      }
    }
    if (result === FILL_MORE) sources.keepPlaces()
    return result
  }

  /** Whether the next call starts behind `before`, where this one did: versions newer than the snapshot move nothing. */
  #hasMoved(before: Uint8Array | undefined): boolean {
    const { kernel } = this
    return kernel.hasSeen && (before === undefined || compareBytes(kernel.memory, kernel.seenAt, kernel.seenEnd, before, 0, before.length) !== 0)
  }

  #isLate(untilMs: number): boolean {
    return untilMs !== Infinity && this.#core.host.clock.nowMs() >= untilMs
  }

  /** Whether the position is inside the known empty range; then skip it. */
  #lead(): boolean {
    const { kernel } = this
    if (!kernel.hasSeen) return false
    const end = this.#core.emptyRange.endAround(kernel.memory, kernel.seenAt, kernel.seenEnd, this.#snapshotSeq)
    if (end === undefined) return false
    this.#target = end
    this.#isPlaced = false
    this.#isLed = true
    return true
  }

  /** Nothing is visible from the seek key to the first row: remember that. */
  #noteDead(withKeys: boolean): void {
    const { emptyRange, lastSeq } = this.#core
    const { kernel } = this
    if (this.#snapshotSeq !== lastSeq || this.#blocksInVain < (this.#isLed ? FEW_BLOCKS : MANY_BLOCKS)) return
    const end = kernel.rows === 0 ? this.#behindSeen() : withKeys ? kernel.firstKey() : undefined
    if (end !== undefined) emptyRange.note(this.#wish, end)
  }

  #behindSeen(): Uint8Array | undefined {
    const { kernel } = this
    if (!kernel.hasSeen) return undefined
    const behind = new Uint8Array(kernel.seenEnd - kernel.seenAt + 1)
    behind.set(kernel.memory.subarray(kernel.seenAt, kernel.seenEnd))
    return behind
  }

  #stopped(): number {
    this.kernel.clear(0, 0)
    return FILL_STOPPED
  }
}

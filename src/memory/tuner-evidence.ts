/**
 * Evidence of the memory tuner (`tuner.ts`): sums since its last decision, merge amplification, and whether a side is idle or only
 * pauses.
 *
 * Invariants
 * 1. All numbers stay finite and >= 0 when the samples are.
 * 2. A side unused for `PHASE_SAMPLES` is idle; one in use is not.
 */
import type { TunerSample } from './tuner-sample.ts'

/** A side is idle after this many samples with hardly any use, or twice its usual pause... */
export const IDLE_SAMPLES = 2
/** ...but after this many at the latest. */
const PHASE_SAMPLES = 16
/** What a sample of use takes off the usual pause. */
const FORGOTTEN = 1 / 8

/** Sums over the samples of a decision. */
export class Evidence {
  samples = 0
  reads = 0
  missBytes = 0
  ghostHits = 0
  ghostHitBytes = 0
  /** Summed, for its mean. */
  ghostBytes = 0
  demandBytes = 0
  writtenBytes = 0
  flushedBytes = 0
  gets = 0

  add(sample: TunerSample): void {
    this.samples++
    this.reads += sample.hits + sample.misses
    this.missBytes += sample.missBytes
    this.ghostHits += sample.ghostHits
    this.ghostHitBytes += sample.ghostHitBytes
    this.ghostBytes += sample.ghostBytes
    this.demandBytes += sample.demandBytes
    this.writtenBytes += sample.writtenBytes
    this.flushedBytes += sample.flushedBytes
    this.gets += sample.gets ?? 0
  }

  /** Older samples count less. */
  halve(): void {
    this.samples /= 2
    this.reads /= 2
    this.missBytes /= 2
    this.ghostHits /= 2
    this.ghostHitBytes /= 2
    this.ghostBytes /= 2
    this.demandBytes /= 2
    this.writtenBytes /= 2
    this.flushedBytes /= 2
    this.gets /= 2
  }
}

/**
 * Bytes merged per byte written, over a horizon much longer than a decision: merges come in bursts, but amplification is a property
 * of the tree.
 */
export class MergeAmplification {
  writtenBytes = 0
  mergeBytes = 0

  get value(): number { return this.writtenBytes > 0 ? this.mergeBytes / this.writtenBytes : 0 }

  add(writtenBytes: number, mergeBytes: number, horizonBytes: number): void {
    const keep = Math.exp(-writtenBytes / horizonBytes)
    this.writtenBytes = this.writtenBytes * keep + writtenBytes
    this.mergeBytes = this.mergeBytes * keep + mergeBytes
  }
}

/** How long a side usually pauses: a writer that writes once a second is not idle in between. */
export class Pauses {
  /** Samples without use. */
  samples = 0
  /** Usual pause, in samples; 0: none. */
  usual = 0

  get isIdle(): boolean { return this.samples >= Math.min(PHASE_SAMPLES, Math.max(IDLE_SAMPLES, 2 * this.usual)) }

  /** In use, or in a pause of usual length. */
  get goesOn(): boolean { return this.samples <= Math.ceil(this.usual) }

  count(isUsed: boolean, intervals = 1): void {
    if (!isUsed) {
      this.samples += intervals
      return
    }
    if (this.samples === 0) this.usual = Math.max(0, this.usual - FORGOTTEN * intervals)
    else if (this.samples < PHASE_SAMPLES) this.usual = Math.max(this.samples, this.usual - 1)
    this.samples = 0
  }
}

/**
 * Lends the memory of idle writers to readers that miss recently evicted blocks: free arenas at once, used ones by a flush. If writes
 * resume soon after, the next flush for readers comes later.
 */
import type { ArenaAdmission } from './arena-admission.ts'

/** Samples without writes before arenas are lent to the cache: the first time, and at most. */
const FIRST_LENDING = 8
const LATEST_LENDING = 1024
/** Ghost hits per sample for lending to pay. */
const GHOSTS_TO_LEND = 16
/** Less than this in arenas is not worth a flush. */
const MIN_LENT_BYTES = 1024 * 1024

export class ArenaLending {
  readonly #admission: ArenaAdmission
  readonly #makeRoom: () => void
  /** Samples in a row with reads only, and how many trigger a flush for readers. */
  #readingSamples = 0
  #lendingSamples = FIRST_LENDING
  /** Bytes written in all when memtables were last flushed for readers, and whether that was since the last write. */
  #lentAtBytes = 0
  #hasLent = false

  constructor(admission: ArenaAdmission, makeRoom: () => void) {
    this.#admission = admission
    this.#makeRoom = makeRoom
  }

  /** Once a sample. `onlyReads`: no store writes, and readers would profit. */
  sample(onlyReads: boolean, ghostHits: number, writtenBytes: number): void {
    if (!onlyReads) {
      this.#readingSamples = 0
      this.#hasLent = false
      return
    }
    this.#readingSamples++
    if (ghostHits < GHOSTS_TO_LEND || this.#readingSamples < this.#lendingSamples) return
    const admission = this.#admission
    admission.arenas.releaseFree(Infinity)
    if (admission.usedBytes < MIN_LENT_BYTES) return
    if (!this.#hasLent) {
      // Less than a memtable since the last time: that flush came too early.
      const wasEarly = writtenBytes - this.#lentAtBytes < admission.limitBytes / 2
      this.#lendingSamples = wasEarly ? Math.min(LATEST_LENDING, 2 * this.#lendingSamples) : FIRST_LENDING
      this.#lentAtBytes = writtenBytes
      this.#hasLent = true
    }
    this.#makeRoom()
  }
}

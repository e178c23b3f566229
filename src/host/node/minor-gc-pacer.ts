/**
 * Collects V8's young generation early when many Buffers were handed out to the program. Their bytes lie outside V8's heap, which
 * collects only when it is full of objects or 32 MiB of buffers wait, whatever the budget is. Buffers of some hundred bytes and
 * more reach that first.
 *
 * Invariant: at most MAX_WAITING_BYTES of reported, possibly uncollected Buffers exist between two calls (twice that if row sizes
 * jump). Buffers the program keeps are copied once more.
 *
 * Cost: two additions a call; 4 us each time the limit is reached, and 0.1 to 2 ms for a collection of 8 MiB if V8 has made none
 * meanwhile. Where rows are mostly objects V8 is always first.
 */
import { getHeapSpaceStatistics } from 'node:v8'
import { collectYoungGarbage } from './garbage.ts'

export const MAX_WAITING_BYTES: number = 8 * 1024 * 1024

/** The young generation of this thread. */
export interface YoungHeap {
  /** Live or garbage. */
  usedBytes(): number
  collect(): void
}

const youngHeap: YoungHeap = {
  usedBytes: () => {
    for (const { space_name, space_used_size } of getHeapSpaceStatistics()) if (space_name === 'new_space') return space_used_size
    return 0
  },
  collect: collectYoungGarbage,
}

export class YoungGarbage {
  readonly #heap: YoungHeap
  #bufferBytes = 0
  #objectBytes = 0
  #isOff = false

  constructor(heap: YoungHeap = youngHeap) {
    this.#heap = heap
  }

  /** Buffers of `bufferBytes` were handed out, with at least `objectBytes` of other objects on V8's heap. */
  add(bufferBytes: number, objectBytes: number): void {
    this.#bufferBytes += bufferBytes
    this.#objectBytes += objectBytes
    if (this.#bufferBytes < MAX_WAITING_BYTES || this.#isOff) return
    try {
      this.#look()
    } catch {
      // Heap statistics are unavailable: do without. Garbage is no reason for a read to fail.
      this.#isOff = true
    }
  }

  #look(): void {
    const usedBytes = this.#heap.usedBytes()
    if (usedBytes < this.#objectBytes) {
      // V8 has collected meanwhile: only the latest Buffers still wait, in proportion to the objects found.
      this.#bufferBytes *= usedBytes / this.#objectBytes
      this.#objectBytes = usedBytes
      if (this.#bufferBytes < MAX_WAITING_BYTES) return
    }
    this.#bufferBytes = this.#objectBytes = 0
    this.#heap.collect()
  }
}

/** Of this thread, shared by all its stores. */
export const youngGarbage = new YoungGarbage()

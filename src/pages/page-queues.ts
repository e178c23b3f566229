/**
 * Eviction order: queues of evictable pages by depth and cost.
 *
 * Invariants
 * 1. A page is in one queue, or in none while it is pinned, has a job or is evicted.
 * 2. A page read since the last sweep survives one sweep and moves to the end of its queue.
 */
import { BACKED, MAX_DEPTH, PageList } from './page.ts'
import type { Page } from './page.ts'

const MAX_STEAL_PROBES = 8

export class PageQueues {
  readonly #clean = Array.from({ length: MAX_DEPTH + 1 }, () => new PageList())
  readonly #dirty = Array.from({ length: MAX_DEPTH + 1 }, () => new PageList())
  readonly #shortLived = new PageList()
  #cleanBytes = 0

  get cleanBytes(): number { return this.#cleanBytes }

  /** No effect on a page that is pinned or has a job. */
  add(page: Page): void {
    if (page.slot === undefined || page.pins > 0 || page.job !== undefined) return
    if (page.state === BACKED) {
      this.#clean[page.depth]!.append(page)
      this.#cleanBytes += page.slot.byteLength
    } else if (page.isShortLived) {
      this.#shortLived.append(page)
    } else {
      this.#dirty[page.depth]!.append(page)
    }
  }

  /** Call before state or slot change. */
  remove(page: Page): void {
    if (page.list === undefined) return
    page.list.remove(page)
    if (page.state === BACKED) this.#cleanBytes -= page.slot!.byteLength
  }

  /** It stays queued. `mayStore` false: only pages free to evict. */
  victim(mayStore: boolean): Page | undefined {
    // It clears all read marks.
    for (let round = 0; round < 2; round++) {
      for (let depth = MAX_DEPTH; depth >= 0; depth--) {
        const page = this.#clean[depth]!.sweep() ?? (mayStore ? this.#dirty[depth]!.sweep() : undefined)
        if (page !== undefined) return page
      }
      const page = mayStore ? this.#shortLived.sweep() : undefined
      if (page !== undefined) return page
    }
    return undefined
  }

  stealable(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#clean[depth]!.sweep(MAX_STEAL_PROBES)
      if (page !== undefined) return page
    }
    return undefined
  }

  /** Not short-lived, not read recently. */
  sweepUnbacked(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#dirty[depth]!.sweep()
      if (page !== undefined) return page
    }
    return undefined
  }

  nextUnbacked(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#dirty[depth]!.head
      if (page !== undefined) return page
    }
    return undefined
  }
}

/**
 * Which page goes when room is needed: queues of pages that may be evicted, by depth and by what evicting them costs.
 *
 * 1. A page stands in one queue at most: not while it is pinned, works for a job or is out of memory.
 * 2. A page that was read since the last sweep is spared by one sweep, and goes to the end of its queue.
 *
 * Cost: nothing is allocated; a sweep looks at the head of each queue and at what it spares.
 */
import { BACKED, MAX_DEPTH, PageList } from './page.ts'
import type { Page } from './page.ts'

/** Pages looked at, of each depth, to admit another one. */
const STEAL_LOOKS = 8

export class PageQueues {
  /** By depth: pages that can be had again, and pages that must be stored first. */
  readonly #clean = Array.from({ length: MAX_DEPTH + 1 }, () => new PageList())
  readonly #dirty = Array.from({ length: MAX_DEPTH + 1 }, () => new PageList())
  readonly #shortLived = new PageList()
  #cleanBytes = 0

  /** What can be evicted for nothing. */
  get cleanBytes(): number { return this.#cleanBytes }

  /** The page may go from now on, unless something holds it. */
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

  /** Before its state changes or its slot goes. */
  remove(page: Page): void {
    if (page.list === undefined) return
    page.list.remove(page)
    if (page.state === BACKED) this.#cleanBytes -= page.slot!.byteLength
  }

  /** The next page to evict, only one that costs nothing if `mayStore` is false. It stays in its queue. */
  victim(mayStore: boolean): Page | undefined {
    // The second time nobody is spared any more.
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

  /** A page that costs nothing and was not read lately. */
  stealable(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#clean[depth]!.sweep(STEAL_LOOKS)
      if (page !== undefined) return page
    }
    return undefined
  }

  /** The next page that must be stored, but for short-lived ones; those read lately are spared. */
  sweepUnbacked(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#dirty[depth]!.sweep()
      if (page !== undefined) return page
    }
    return undefined
  }

  /** The same without a sweep. */
  nextUnbacked(): Page | undefined {
    for (let depth = MAX_DEPTH; depth >= 0; depth--) {
      const page = this.#dirty[depth]!.head
      if (page !== undefined) return page
    }
    return undefined
  }
}

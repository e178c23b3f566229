/** A page. Everything but `length` is the pool's. */
import type { Slot } from './slot-pool.ts'

/** @internal Deeper pages count as this deep. */
export const MAX_DEPTH = 31

/** @internal In memory only. */
export const UNBACKED = 0
/** @internal In memory, with a job that compresses it queued or under way. */
export const IN_FLIGHT = 1
/** @internal In memory, and its bytes can be had again without it: evicting it is free. */
export const BACKED = 2
/** @internal Not in memory. */
export const EVICTED = 3
/** @internal */
export const FREED = 4

/** @internal Where a page's extent is. */
export const NOWHERE = 0
/** @internal */
export const IN_TIER = 1
/** @internal */
export const IN_FILE = 2

/** Writes the whole page to `target`, from `at` on. */
export type Reload = (target: Uint8Array, at: number) => void

export class Page {
  /** Bytes. */
  readonly length: number
  /** @internal */
  readonly owner: object
  /** @internal */
  readonly depth: number
  /** @internal */
  readonly isShortLived: boolean
  /** @internal Not worth compressing. */
  readonly isAsIs: boolean
  /** @internal */
  readonly reload: Reload | undefined
  /** @internal */
  state = UNBACKED
  /** @internal Undefined when evicted. */
  slot: Slot | undefined = undefined
  /** @internal A copy for those that pinned it when there was no room; counted apart. */
  bounce: Slot | undefined = undefined
  /** @internal */
  pins = 0
  /** @internal Read since the last sweep. */
  isTouched = false
  /** @internal */
  list: PageList | undefined = undefined
  /** @internal */
  previous: Page | undefined = undefined
  /** @internal */
  next: Page | undefined = undefined
  /** @internal */
  extentIn = NOWHERE
  /** @internal The first block in the tier, or the position in the file. */
  extentAt = 0
  /** @internal */
  extentBytes = 0
  /** @internal Seeds the extent's checksums. */
  serial = 0
  /** @internal In the order in which extents came into the tier. */
  older: Page | undefined = undefined
  /** @internal */
  younger: Page | undefined = undefined
  /** @internal The spill job that works on it. */
  job: object | undefined = undefined

  /** @internal Made by the pool. */
  constructor(owner: object, length: number, depth: number, isShortLived: boolean, isAsIs: boolean, reload: Reload | undefined) {
    this.owner = owner
    this.length = length
    this.depth = depth
    this.isShortLived = isShortLived
    this.isAsIs = isAsIs
    this.reload = reload
  }
}

/** A queue of pages, linked through themselves; a page stands in one at most. */
export class PageList {
  head: Page | undefined = undefined
  tail: Page | undefined = undefined
  size = 0

  append(page: Page): void {
    page.list = this
    page.previous = this.tail
    page.next = undefined
    if (this.tail === undefined) this.head = page
    else this.tail.next = page
    this.tail = page
    this.size++
  }

  remove(page: Page): void {
    if (page.previous === undefined) this.head = page.next
    else page.previous.next = page.next
    if (page.next === undefined) this.tail = page.previous
    else page.next.previous = page.previous
    page.list = page.previous = page.next = undefined
    this.size--
  }

  /**
   * The first page that was not read since the last sweep; those read before it are spared once and go to the end. At most
   * `most` are looked at.
   */
  sweep(most = this.size): Page | undefined {
    for (let left = Math.min(most, this.size); left > 0; left--) {
      const page = this.head!
      if (!page.isTouched) return page
      page.isTouched = false
      this.remove(page)
      this.append(page)
    }
    return undefined
  }
}

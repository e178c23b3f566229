/** Only `length` is of use outside the pool. */
import type { Slot } from './slot-pool.ts'

export const MAX_DEPTH = 31

export const UNBACKED = 0
/** A job is queued or running. */
export const IN_FLIGHT = 1
/** In memory and free to evict. */
export const BACKED = 2
export const EVICTED = 3
export const FREED = 4

export const SHORT_LIVED = 1
export const AS_IS = 2

export const NOWHERE = 0
export const IN_TIER = 1
export const IN_FILE = 2

/** Writes the whole page to `target` at `at`. */
export type Reload = (target: Uint8Array, at: number) => void

export class Page {
  readonly length: number
  readonly owner: object
  readonly depth: number
  readonly #traits: number
  readonly reload: Reload | undefined
  state = UNBACKED
  /** Undefined when evicted. */
  slot: Slot | undefined = undefined
  /** For pins. */
  bounce: Slot | undefined = undefined
  pins = 0
  isTouched = false
  list: PageList | undefined = undefined
  previous: Page | undefined = undefined
  next: Page | undefined = undefined
  extentIn = NOWHERE
  /** Block in the tier, or position in the file. */
  extentAt = 0
  extentBytes = 0
  /** Seed of the extent's checksums. */
  serial = 0
  /** In the tier's list. */
  older: Page | undefined = undefined
  younger: Page | undefined = undefined
  job: object | undefined = undefined

  constructor(owner: object, length: number, depth: number, traits: number, reload: Reload | undefined) {
    this.owner = owner
    this.length = length
    this.depth = depth
    this.#traits = traits
    this.reload = reload
  }

  get isShortLived(): boolean { return (this.#traits & SHORT_LIVED) !== 0 }
  get isAsIs(): boolean { return (this.#traits & AS_IS) !== 0 }
}

/** Intrusive queue. A page is in at most one. */
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

  /** The first of `max` pages not read since the last sweep. The others go to the end. */
  sweep(max = this.size): Page | undefined {
    for (let left = Math.min(max, this.size); left > 0; left--) {
      const page = this.head!
      if (!page.isTouched) return page
      page.isTouched = false
      this.remove(page)
      this.append(page)
    }
    return undefined
  }
}

/**
 * Handles that the program holds and has to give back: iterators, snapshots, transactions, pins of pages, blocks of pools. Each with
 * the place that opened it and when it was last used. A budget has a list only while a profiler runs or with SPILLWAY_DEBUG.
 *
 * Invariants
 * 1. A handle is listed once, from its opening to its end. Those opened before the list was made are not in it.
 * 2. The list never references what the program holds (`subject` is the handle's resources), so a dropped handle can be collected.
 * 3. At most `maxHandles` handles and `maxSites` places are kept; others are counted only.
 *
 * Account: `profiler`, leased as a whole. Cost: 0.3 to 0.8 us for a handle, and 15 to 30 us for the place: of the first 24 a second of each
 * kind, then of every 64th.
 */
import { LinkedList, Member } from '../base/linked-list.ts'
import { callSite } from './call-site.ts'

export type HandleKind = 'iterator' | 'snapshot' | 'transaction' | 'pin' | 'block'

/** What a handle holds. */
export interface HandleSubject {
  /** Changes with each use. Absent: uses are not known, so it counts as unused from its opening on. */
  readonly uses?: number
  /** Bytes of memory it holds now. */
  readonly heldBytes?: number
}

/** A place that opened handles. */
export interface HandleSite {
  readonly name: string
  opened: number
  /** Handles that were collected without having been closed. */
  dropped: number
}

const HANDLE_BYTES = 192
const SITE_BYTES = 640
const HANDLES_PER_SITE = 4

const SITES_PER_SECOND = 24
const SAMPLED = 64

export class OpenHandle {
  readonly kind: HandleKind
  /** Undefined: not looked up, because many were opened in that second. */
  readonly site: HandleSite | undefined
  readonly openedMs: number
  readonly subject: HandleSubject
  /** In use while this one is: the snapshot an iterator reads at. */
  readonly parent: OpenHandle | undefined
  usedMs: number
  uses: number
  /** @internal */
  readonly member: Member<OpenHandle> = new Member<OpenHandle>(this)
  readonly #list: OpenHandles

  constructor(list: OpenHandles, kind: HandleKind, site: HandleSite | undefined, nowMs: number, subject: HandleSubject, parent: OpenHandle | undefined) {
    this.#list = list
    this.kind = kind
    this.site = site
    this.openedMs = this.usedMs = nowMs
    this.subject = subject
    this.parent = parent
    this.uses = subject.uses ?? 0
  }

  /** It was given back. May be called again. */
  close(): void { this.#list.remove(this) }

  /** It was collected without having been closed. Returns where it was made, if that is known. */
  drop(): string | undefined {
    if (this.site !== undefined) this.site.dropped++
    this.#list.dropped++
    this.close()
    return this.site?.name
  }
}

/** Made by `watchHandles`. */
export class OpenHandles {
  readonly maxHandles: number
  readonly maxSites: number
  /** Handles that were not listed because the list was full. */
  unlisted = 0
  dropped = 0
  readonly sites = new Map<string, HandleSite>()
  readonly #nowMs: () => number
  readonly #onEnd: () => void
  readonly #open = new LinkedList<OpenHandle>()
  /** Places looked up this second, by kind. */
  readonly #looked = new Map<HandleKind, number>()
  #secondMs = -Infinity
  #users = 0

  /** For `watchHandles`. `bytes` are leased; `onEnd` is called when the last user has released it. */
  constructor(bytes: number, nowMs: () => number, onEnd: () => void) {
    this.#nowMs = nowMs
    this.#onEnd = onEnd
    this.maxHandles = Math.floor(bytes / (HANDLE_BYTES + SITE_BYTES / HANDLES_PER_SITE))
    this.maxSites = Math.floor(this.maxHandles / HANDLES_PER_SITE)
  }

  get size(): number { return this.#open.size }
  /** Oldest. */
  get first(): Member<OpenHandle> | undefined { return this.#open.first }

  /** A handle was opened, in a call of the program. Undefined: the list is full. */
  open(kind: HandleKind, subject: HandleSubject, parent?: OpenHandle): OpenHandle | undefined {
    if (this.#open.size >= this.maxHandles) {
      this.unlisted++
      return undefined
    }
    const nowMs = this.#nowMs()
    const handle = new OpenHandle(this, kind, this.#siteNow(kind, nowMs), nowMs, subject, parent)
    this.#open.add(handle.member)
    return handle
  }

  /** Note which handles were used since the last look. */
  look(): void {
    const nowMs = this.#nowMs()
    for (let member = this.#open.first; member !== undefined; member = member.after) {
      const handle = member.value
      const uses = handle.subject.uses ?? 0
      if (uses === handle.uses) continue
      handle.uses = uses
      for (let used: OpenHandle | undefined = handle; used !== undefined; used = used.parent) used.usedMs = nowMs
    }
  }

  remove(handle: OpenHandle): void { this.#open.delete(handle.member) }

  /** One more user. */
  share(): this {
    this.#users++
    return this
  }

  /** The last user ends the list: handles that are still open are forgotten. */
  release(): void {
    if (--this.#users > 0) return
    for (let { first } = this.#open; first !== undefined; first = this.#open.first) this.#open.delete(first)
    this.sites.clear()
    this.#onEnd()
  }

  #siteNow(kind: HandleKind, nowMs: number): HandleSite | undefined {
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs
      this.#looked.clear()
    }
    const looked = (this.#looked.get(kind) ?? 0) + 1
    this.#looked.set(kind, looked)
    if (looked > SITES_PER_SECOND && looked % SAMPLED !== 0) return undefined
    const name = callSite()
    let site = this.sites.get(name)
    if (site === undefined) {
      if (this.sites.size >= this.maxSites) return undefined
      this.sites.set(name, site = { name, opened: 0, dropped: 0 })
    }
    site.opened++
    return site
  }
}

/**
 * Iterators as their users see them: a snapshot, a place in a range, and what was read ahead from there.
 *
 * Invariants
 * 1. An iterator sees the store as of its creation, whatever is written, flushed or merged meanwhile.
 * 2. Between two calls it needs only its place: its scan (`iterator-walk.ts`), then what it has read ahead (`iterator-ahead.ts`), is
 *    given back when somebody else needs the memory.
 *
 * Account: `iterators`, of the parts. Cost: one promise per chunk with `nextv` and `for await`.
 */
import type { InspectOptions } from 'node:util'
import { invalidArgument } from '../base/errors.ts'
import { IDENTITY, nextIdentity } from '../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import { Member } from '../base/members.ts'
import type { Core } from './core.ts'
import { ReadAhead } from './iterator-ahead.ts'
import { encodeTarget } from './iterator-plan.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { Snapshot } from './snapshots.ts'
import { dueTurn } from './turns.ts'

/** T: what it yields: [key, value], keys or values. K: the keys that `seek` takes. */
export class SpillwayIterator<T, K = unknown> implements AsyncDisposable {
  readonly #core: Core
  readonly #plan: IteratorPlan
  readonly #ahead: ReadAhead<T>
  readonly #snapshot: Snapshot
  readonly #member: Member<{ closeSync(): void }> = new Member(this)
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()

  /** @internal Made by `db.iterator`, `db.keys` and `db.values`. */
  constructor(core: Core, plan: IteratorPlan) {
    this.#core = core
    this.#plan = plan
    this.#ahead = new ReadAhead(core, plan)
    this.#snapshot = core.snapshots.add(plan.snapshotSeq)
    core.iterators.add(this.#member)
  }

  /** The next one, or undefined after the last. */
  async next(): Promise<T | undefined> {
    const ahead = this.#ahead
    if (ahead.isEmpty) {
      await this.#turn()
      // Another call of `next` may have refilled it meanwhile.
      while (ahead.isEmpty && this.#refillOrPause()) await this.#turn()
    }
    return ahead.isEmpty ? undefined : ahead.take()
  }

  /** Up to `size` of the next ones; an empty array after the last. */
  async nextv(size: number): Promise<T[]> {
    const { place, walk } = this.#ahead
    for (;;) {
      await this.#turn()
      walk.pauses = true
      try {
        const some = this.nextvSync(size)
        if (some.length > 0 || place.isDone) return some
      } finally {
        walk.pauses = false
      }
    }
  }

  nextvSync(size: number): T[] {
    if (!Number.isSafeInteger(size) || size < 1) throw invalidArgument(`nextv takes a whole number from 1, not ${size}`)
    return this.#ahead.isEmpty ? this.#ahead.readSome(size) : this.#ahead.takeSome(size)
  }

  /** All that are left, then close. */
  async all(): Promise<T[]> {
    const all: T[] = []
    try {
      for (;;) {
        const some = await this.nextv(1000)
        if (some.length === 0) return all
        for (const one of some) all.push(one)
      }
    } finally {
      await this.close()
    }
  }

  /** Go on at the first key at or after `target` (reverse: at or before it). Outside the range: nothing is left. */
  seek(target: K): void {
    this.#ahead.walk.checkOpen()
    this.#ahead.seek(encodeTarget(this.#plan, target))
  }

  async close(): Promise<void> {
    this.closeSync()
  }

  closeSync(): void {
    const ahead = this.#ahead
    if (ahead.place.isClosed) return
    ahead.close()
    this.#snapshot.close()
    this.#plan.overlay?.close()
    this.#core.iterators.delete(this.#member)
  }

  async* [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const ahead = this.#ahead
    try {
      for (;;) {
        while (!ahead.isEmpty) yield ahead.take()
        do await this.#turn()
        while (ahead.isEmpty && this.#refillOrPause())
        if (ahead.isEmpty) return
      }
    } finally {
      this.closeSync()
    }
  }

  /** The same without promises. */
  * entriesSync(): Generator<T, void, undefined> {
    const ahead = this.#ahead
    try {
      for (;;) {
        while (!ahead.isEmpty) yield ahead.take()
        ahead.refill()
        if (ahead.isEmpty) return
      }
    } finally {
      this.closeSync()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closeSync()
  }

  get [Symbol.toStringTag](): string { return 'SpillwayIterator' }

  /** @internal Nothing of where it stands. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#ahead in this)) return inspectPrototype('SpillwayIterator')
    return inspectFields(this, 'SpillwayIterator', { state: this.#ahead.place.isClosed ? 'closed' : 'open' }, { depth, options, inspect })
  }

  /** @internal Count what is left without decoding it: up to so many, or fewer when `ended` says that there are more. */
  countSync(most: number): number {
    const { walk } = this.#ahead
    walk.pauses = true
    try {
      return this.#ahead.count(most)
    } finally {
      walk.pauses = false
    }
  }

  /** @internal Where it stands, for splitting long work: true when nothing is left. */
  get ended(): boolean { return this.#ahead.place.isDone }

  /** Read ahead; true: nothing was found so far, and the event loop may have its turn. */
  #refillOrPause(): boolean {
    const { place, walk } = this.#ahead
    walk.pauses = true
    try {
      this.#ahead.refill()
    } finally {
      walk.pauses = false
    }
    return this.#ahead.isEmpty && !place.isDone
  }

  async #turn(): Promise<void> {
    const turn = dueTurn(this.#core)
    if (turn !== undefined) await turn
  }
}

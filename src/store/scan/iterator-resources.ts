/**
 * What an open iterator holds: its place, what it has read ahead, and a snapshot. All of it leads nowhere to the iterator itself, so that one
 * that the program has lost can be collected and then closed: see `lost-handles.ts`.
 *
 * Invariant: it is among the store's iterators from its beginning to `close`.
 */
import { Member } from '../../base/linked-list.ts'
import type { StoreState } from '../state/store-state.ts'
import { ReadAhead } from './iterator-prefetch.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { YoungHolding } from '../api/lost-handles.ts'
import type { SnapshotPin } from '../api/snapshots.ts'

/** T: what the iterator yields. */
export class IteratorResources<T> implements YoungHolding {
  readonly core: StoreState
  readonly plan: IteratorPlan
  readonly ahead: ReadAhead<T>
  handle: object | undefined
  isWatched = false
  readonly #pin: SnapshotPin
  readonly #member: Member<YoungHolding> = new Member<YoungHolding>(this)

  constructor(core: StoreState, plan: IteratorPlan, handle: object) {
    this.core = core
    this.plan = plan
    this.ahead = new ReadAhead(core, plan)
    this.#pin = core.snapshots.add(plan.snapshotSeq)
    this.handle = handle
    core.iterators.add(this.#member)
    core.lostHandles.added()
  }

  get isClosed(): boolean { return this.ahead.place.isClosed }

  close(): void {
    if (this.isClosed) return
    this.handle = undefined
    this.ahead.close()
    this.#pin.close()
    this.plan.overlay?.close()
    this.core.iterators.delete(this.#member)
    if (this.isWatched) this.core.lostHandles.forget(this)
  }
}

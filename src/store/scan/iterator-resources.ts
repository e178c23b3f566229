/**
 * Resources of an open iterator: its position, prefetched entries and snapshot. None of them references the iterator, so that a
 * lost one can be collected and then closed (`lost-handles.ts`).
 *
 * Invariant: it is in the store's list of iterators until `close`.
 */
import { Member } from '../../base/linked-list.ts'
import type { HandleSubject, OpenHandle } from '../../memory/open-handles.ts'
import type { StoreState } from '../state/store-state.ts'
import { ReadAhead } from './iterator-prefetch.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { YoungHolding } from '../api/lost-handles.ts'
import type { SnapshotPin } from '../api/snapshots.ts'

/** T: the yielded type. */
export class IteratorResources<T> implements YoungHolding, HandleSubject {
  readonly core: StoreState
  readonly plan: IteratorPlan
  readonly ahead: ReadAhead<T>
  handle: object | undefined
  isWatched = false
  readonly listed: OpenHandle | undefined
  readonly #pin: SnapshotPin
  readonly #member: Member<YoungHolding> = new Member<YoungHolding>(this)

  constructor(core: StoreState, plan: IteratorPlan, handle: object) {
    this.core = core
    this.plan = plan
    this.ahead = new ReadAhead(core, plan)
    this.#pin = core.snapshots.add(plan.snapshotSeq)
    this.handle = handle
    this.listed = core.engine.budget.handles?.open('iterator', this, plan.parent)
    core.iterators.add(this.#member)
    core.lostHandles.added()
  }

  get isClosed(): boolean { return this.ahead.place.isClosed }
  get uses(): number { return this.ahead.uses }
  get heldBytes(): number { return this.ahead.heldBytes }

  close(): void {
    if (this.isClosed) return
    this.handle = undefined
    this.listed?.close()
    this.ahead.close()
    this.#pin.close()
    this.plan.overlay?.close()
    this.core.iterators.delete(this.#member)
    if (this.isWatched) this.core.lostHandles.forget(this)
  }
}

/**
 * Resources of an open transaction: a snapshot, its writes, its iterators. None of them references the transaction, so that a lost
 * one can be collected and then aborted (`lost-handles.ts`).
 *
 * Invariant: an ended transaction holds nothing.
 */
import type { Lease } from '../../memory/budget.ts'
import type { HandleSubject, OpenHandle } from '../../memory/open-handles.ts'
import type { OpenTransaction } from '../state/open-transactions.ts'
import type { IteratorResources } from '../scan/iterator-resources.ts'
import type { Holding } from '../api/lost-handles.ts'
import type { SnapshotPin } from '../api/snapshots.ts'
import type { TransactionParts } from './transaction-settings.ts'
import { TransactionWrites } from './transaction-writes.ts'

/** Objects of an open transaction and its memtable's placeholder. */
const OBJECT_BYTES = 4096

export type TransactionState = 'open' | 'committing' | 'committed' | 'aborted'

export class TransactionResources implements OpenTransaction, Holding, HandleSubject {
  state: TransactionState = 'open'
  /** Calls. */
  uses = 0
  readonly listed: OpenHandle | undefined
  readonly openedMs: number
  readonly writes: TransactionWrites
  readonly pin: SnapshotPin
  readonly iterators = new Set<IteratorResources<any>>()
  readonly #parts: TransactionParts
  readonly #readLease: Lease

  constructor(parts: TransactionParts, signal: AbortSignal | undefined) {
    const { core } = parts
    this.#parts = parts
    this.#readLease = core.engine.transactions.lease(0)
    core.engine.transactionObjects.change(OBJECT_BYTES)
    this.writes = new TransactionWrites(parts, signal, this.#readLease)
    this.pin = core.snapshots.add(core.lastSeq)
    this.openedMs = core.host.clock.nowMs()
    core.transactions.open.add(this)
    this.listed = core.engine.budget.handles?.open('transaction', this)
  }

  get bytes(): number { return this.writes.bytes }
  get tableBytes(): number { return this.writes.tableBytes }
  get heldBytes(): number { return OBJECT_BYTES + this.bytes - this.tableBytes }
  get isClosed(): boolean { return this.state === 'committed' || this.state === 'aborted' }

  close(): void { this.end('aborted') }

  end(state: 'committed' | 'aborted'): void {
    if (this.isClosed) return
    const { core } = this.#parts
    this.state = state
    this.listed?.close()
    this.closeIterators()
    this.writes.end()
    this.pin.close()
    this.#readLease.release()
    core.engine.transactionObjects.change(-OBJECT_BYTES)
    core.transactions.open.delete(this)
    core.lostHandles.forget(this)
  }

  closeIterators(): void {
    for (const iterator of [...this.iterators]) iterator.close()
  }
}

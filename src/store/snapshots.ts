/**
 * Snapshots: sequence numbers that must stay readable. Iterators hold one each while they are open.
 *
 * Invariants
 * 1. While a snapshot is open, no flush, merge or overwrite removes a version that a read at it would return.
 * 2. A snapshot keeps versions alive, never memory or files.
 */
import { SpillwayError } from '../base/errors.ts'
import type { HostClock } from '../host/host.ts'

export class Snapshot implements Disposable {
  /** Reads at this snapshot see writes up to and including this sequence number. */
  readonly seq: number
  /** @internal */
  readonly openedMs: number
  #list: SnapshotList | undefined

  /** @internal Made by `db.snapshot()`. */
  constructor(list: SnapshotList, seq: number, openedMs: number) {
    this.#list = list
    this.seq = seq
    this.openedMs = openedMs
  }

  get closed(): boolean { return this.#list === undefined }

  /** Let go; reading at it afterwards is an error. Closing twice is fine. */
  close(): void {
    this.#list?.remove(this)
    this.#list = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  belongsTo(list: SnapshotList): boolean { return this.#list === list }
}

/** @internal */
export class SnapshotList {
  /** Sorted by seq, among equals in the order of opening. */
  readonly #open: Snapshot[] = []
  readonly #clock: HostClock

  constructor(clock: HostClock) {
    this.#clock = clock
  }

  get size(): number { return this.#open.length }
  get oldest(): Snapshot | undefined { return this.#open[0] }
  /** Newest sequence number a snapshot reads at; 0 = none. */
  get newestSeq(): number { return this.#open.length === 0 ? 0 : this.#open[this.#open.length - 1]!.seq }

  add(seq: number): Snapshot {
    const snapshot = new Snapshot(this, seq, this.#clock.nowMs())
    // An iterator at an older snapshot is opened after newer ones.
    let at = this.#open.length
    while (at > 0 && this.#open[at - 1]!.seq > seq) at--
    this.#open.splice(at, 0, snapshot)
    return snapshot
  }

  remove(snapshot: Snapshot): void {
    const at = this.#open.indexOf(snapshot)
    if (at >= 0) this.#open.splice(at, 1)
  }

  /** The distinct sequence numbers, ascending. */
  seqs(): number[] {
    const seqs: number[] = []
    for (const { seq } of this.#open) if (seqs.length === 0 || seqs[seqs.length - 1] !== seq) seqs.push(seq)
    return seqs
  }

  /** The sequence number to read at. Throws CLOSED for a snapshot that is closed or of another store. */
  seqOf(snapshot: Snapshot | undefined, latest: number): number {
    if (snapshot === undefined) return latest
    if (!(snapshot instanceof Snapshot) || !snapshot.belongsTo(this)) {
      throw new SpillwayError('SPILLWAY_CLOSED', 'this snapshot is closed, or of another store. Take a new one with db.snapshot()')
    }
    return snapshot.seq
  }

  closeAll(): void {
    for (const snapshot of [...this.#open]) snapshot.close()
  }
}

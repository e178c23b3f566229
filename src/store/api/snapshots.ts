/**
 * Snapshots: sequence numbers that stay readable. Each open iterator holds one.
 *
 * Invariants
 * 1. While a snapshot is open, no flush, merge or overwrite removes a version a read at it would return.
 * 2. A snapshot keeps versions alive, never memory or files.
 * 3. Snapshots of one sequence number form a group in opening order; groups are linked by ascending sequence number.
 *
 * Cost: opening and closing take constant steps; only a new sequence number below the newest searches its place. `seqs` walks the
 * groups.
 */
import type { InspectOptions } from 'node:util'
import { SpillwayError } from '../../base/errors.ts'
import { IDENTITY, nextIdentity } from '../../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../../base/inspect.ts'
import type { Inspect } from '../../base/inspect.ts'
import type { HostClock } from '../../host/host.ts'
import type { OpenHandle, OpenHandles } from '../../memory/open-handles.ts'
import type { Holding, LostHandles } from './lost-handles.ts'

/**
 * The state of a store at one moment; pass it as `snapshot` to reads. It keeps old versions on disk until it is closed.
 * @example
 * ```ts
 * await db.put('key', 'old')
 * using snapshot = db.snapshot()
 * await db.put('key', 'new')
 * console.log(await db.get('key', { snapshot }))
 * ```
 */
export class Snapshot implements Disposable {
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()
  readonly #pin: SnapshotPin
  readonly #lostHandles: LostHandles

  /** @internal Made by `db.snapshot()`. `handles`: the list of open handles, if they are watched. */
  constructor(pin: SnapshotPin, lostHandles: LostHandles, handles: OpenHandles | undefined) {
    this.#pin = pin
    this.#lostHandles = lostHandles
    pin.listed = handles?.open('snapshot', pin)
    lostHandles.watch(this, pin)
  }

  /** Reads at this snapshot see writes up to this sequence number. */
  get seq(): number { return this.#pin.seq }

  get closed(): boolean { return this.#pin.isClosed }

  /** Release the snapshot; later reads at it throw CLOSED. May be called again. */
  close(): void {
    if (this.#pin.isClosed) return
    this.#pin.close()
    this.#lostHandles.forget(this.#pin)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string { return 'Snapshot' }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#pin in this)) return inspectPrototype('Snapshot')
    return inspectFields(this, 'Snapshot', { seq: this.seq, state: this.closed ? 'closed' : 'open' }, { depth, options, inspect })
  }

  /** @internal */
  belongsTo(list: SnapshotList): boolean { return this.#pin.belongsTo(list) }
  /** @internal It was read at. */
  used(): void { this.#pin.uses++ }
  /** @internal */
  get listed(): OpenHandle | undefined { return this.#pin.listed }
}

/** @internal A sequence number that stays readable until this is closed. */
export class SnapshotPin implements Holding {
  readonly seq: number
  readonly openedMs: number
  /** Reads at it. */
  uses = 0
  listed: OpenHandle | undefined
  /** Neighbours in its group, in opening order. */
  before: SnapshotPin | undefined
  after: SnapshotPin | undefined
  #list: SnapshotList | undefined

  constructor(list: SnapshotList, seq: number, openedMs: number) {
    this.#list = list
    this.seq = seq
    this.openedMs = openedMs
  }

  get isClosed(): boolean { return this.#list === undefined }

  close(): void {
    const list = this.#list
    this.#list = undefined
    this.listed?.close()
    list?.remove(this)
  }

  belongsTo(list: SnapshotList): boolean { return this.#list === list }

  /** Append to a group. */
  follow(last: SnapshotPin): void {
    this.before = last
    last.after = this
  }

  /** Unlink from its group. */
  leave(): void {
    const { before, after } = this
    if (before !== undefined) before.after = after
    if (after !== undefined) after.before = before
    this.before = this.after = undefined
  }
}

interface Group {
  readonly seq: number
  isMapped: boolean
  first: SnapshotPin
  last: SnapshotPin
  lower: Group | undefined
  higher: Group | undefined
}

/** @internal */
export class SnapshotList {
  /**
   * All groups except the newest. The newest is opened and closed with every iterator, so it stays out of the Map
   * (`base/linked-list.ts` says why).
   */
  readonly #older = new Map<number, Group>()
  #lowest: Group | undefined
  #highest: Group | undefined
  #size = 0
  readonly #clock: HostClock

  constructor(clock: HostClock) {
    this.#clock = clock
  }

  get size(): number { return this.#size }
  get oldest(): SnapshotPin | undefined { return this.#lowest?.first }
  /** Newest sequence number with a snapshot; 0 = none. */
  get newestSeq(): number { return this.#highest?.seq ?? 0 }

  add(seq: number): SnapshotPin {
    const snapshot = new SnapshotPin(this, seq, this.#clock.nowMs())
    const group = this.#find(seq)
    if (group === undefined) {
      this.#link(seq, snapshot)
    } else {
      snapshot.follow(group.last)
      group.last = snapshot
    }
    this.#size++
    return snapshot
  }

  /** For `SnapshotPin.close` only, which calls it once. */
  remove(snapshot: SnapshotPin): void {
    const { before, after } = snapshot
    const group = this.#find(snapshot.seq)!
    if (before === undefined && after === undefined) {
      this.#unlink(group)
    } else {
      if (before === undefined) group.first = after!
      if (after === undefined) group.last = before!
      snapshot.leave()
    }
    this.#size--
  }

  /** Distinct sequence numbers, ascending. */
  seqs(): number[] {
    const seqs: number[] = []
    for (let group = this.#lowest; group !== undefined; group = group.higher) seqs.push(group.seq)
    return seqs
  }

  /** Sequence number of a read. Throws CLOSED for a closed snapshot or one of another store. */
  seqOf(snapshot: Snapshot | undefined, latest: number): number {
    if (snapshot === undefined) return latest
    if (!(snapshot instanceof Snapshot) || !snapshot.belongsTo(this)) {
      throw new SpillwayError('SPILLWAY_CLOSED', 'this snapshot is closed, or of another store. Take a new one with db.snapshot()')
    }
    snapshot.used()
    return snapshot.seq
  }

  closeAll(): void {
    while (this.#lowest !== undefined) this.#lowest.first.close()
  }

  #link(seq: number, snapshot: SnapshotPin): void {
    let lower = this.#highest
    while (lower !== undefined && lower.seq > seq) lower = lower.lower
    const higher = lower === undefined ? this.#lowest : lower.higher
    const group: Group = { seq, isMapped: false, first: snapshot, last: snapshot, lower, higher }
    if (lower === undefined) this.#lowest = group
    else lower.higher = group
    if (higher === undefined) {
      this.#highest = group
      if (lower !== undefined) this.#map(lower)
    } else {
      higher.lower = group
      this.#map(group)
    }
  }

  #find(seq: number): Group | undefined {
    return this.#highest?.seq === seq ? this.#highest : this.#older.get(seq)
  }

  #map(group: Group): void {
    if (group.isMapped) return
    group.isMapped = true
    this.#older.set(group.seq, group)
  }

  #unlink({ seq, isMapped, lower, higher }: Group): void {
    if (lower === undefined) this.#lowest = higher
    else lower.higher = higher
    if (higher === undefined) this.#highest = lower
    else higher.lower = lower
    if (isMapped) this.#older.delete(seq)
  }
}

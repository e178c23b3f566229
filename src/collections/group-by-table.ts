/**
 * Accumulators of a grouping: in memory while they fit, otherwise spilled to the sort, as accumulators or as items.
 *
 * Invariants
 * 1. Spilled parts of a key keep their order.
 * 2. Without `combine` a key has at most one spilled accumulator, before its items: after the first spill no keys are added.
 * 3. Spilled values keep their types.
 *
 * Account: `groups`; see `group-by.ts`.
 */
import { SpillwayError } from '../base/errors.ts'
import { compareBytes } from '../base/bytes.ts'
import { formatSize } from '../base/sizes.ts'
import type { Lease } from '../memory/budget.ts'
import { Scratch, transcoder } from '../encoding/encoding.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import type { SortEngine } from './external-sort-engine.ts'
import type { SortSpace } from './external-sort-space.ts'
import type { ReduceByOptions } from './group-by-options.ts'
import { KeyEncoder, decodeKey } from './key-order.ts'
import type { SortKey } from './key-order.ts'
import { groupValue } from './group-by-values.ts'

interface Cell<A> {
  accumulator: A
  bytes: number
  /** Changes until the next measurement. */
  untilMeasured: number
  changes: number
}

const ENTRY_BYTES = 200
const LEASE_STEP_BYTES = 64 * 1024
const SCRATCH_BYTES = 16 * 1024
const FIRST_ENTRY_BYTES = 1024
const NO_ENTRY = Buffer.alloc(0)
const ACCUMULATOR = 0
const ITEM = 1

export class GroupTable<T, K extends SortKey, A> {
  readonly engine: SortEngine
  readonly #options: ReduceByOptions<T, K, A>
  readonly #keys = new KeyEncoder()
  readonly #scratch = new Scratch(SCRATCH_BYTES)
  readonly #items: Transcoder
  /** Key bytes as latin1. */
  #cells = new Map<string, Cell<A>>()
  readonly #lease: Lease
  #limitBytes: number
  #bytes = 0
  /** No new keys. */
  #isClosed = false
  #hasSpilled = false
  #entryKey: Uint8Array = NOTHING
  #entryValue: Buffer = NO_ENTRY
  #entryLength = 0
  readonly #entryLease: Lease
  /** Set if nothing was spilled. */
  #sorted: string[] | undefined
  #next = 0
  #isAtEntry = false

  constructor(options: ReduceByOptions<T, K, A>, space: SortSpace) {
    this.#options = options
    this.#items = options.encoding === undefined ? groupValue : transcoder(options.encoding, 'encoding')
    this.#limitBytes = Math.floor(space.bytes / 3)
    this.engine = space.engine({ reverse: options.reverse === true }, this.#limitBytes + SCRATCH_BYTES)
    this.#lease = space.hold('groups', SCRATCH_BYTES)
    this.#entryLease = space.hold('groups', 0)
  }

  close(): void {
    this.#cells.clear()
  }

  /** False when memory is full: run `makeRoom` and retry. */
  add(item: T): boolean {
    if (this.#bytes > this.#limitBytes) return false
    const { by, init, reduce } = this.#options
    const keys = this.#keys
    const key = by(item)
    keys.encode(key)
    const name = keys.bytes.toString('latin1', 0, keys.length)
    let cell = this.#cells.get(name)
    if (cell === undefined) {
      if (this.#isClosed) return this.#spillItem(item)
      // An empty table takes any key.
      if (this.#cells.size > 0 && this.#bytes + ENTRY_BYTES + 2 * name.length > this.#limitBytes) return false
      cell = { accumulator: init(key), bytes: ENTRY_BYTES + 2 * name.length, untilMeasured: 1, changes: 0 }
      this.#cells.set(name, cell)
      this.#bytes += cell.bytes
    }
    cell.accumulator = reduce(cell.accumulator, item)
    cell.changes++
    if (--cell.untilMeasured === 0) {
      cell.untilMeasured = cell.changes
      const bytes = ENTRY_BYTES + 2 * name.length + this.#sizeOf(cell.accumulator)
      this.#bytes += bytes - cell.bytes
      cell.bytes = bytes
    }
    if (this.#bytes > this.#lease.bytes && !this.#lease.resize(Math.min(this.#bytes + LEASE_STEP_BYTES, this.#limitBytes + SCRATCH_BYTES))) {
      // The rest of the shared budget is taken.
      this.#limitBytes = this.#lease.bytes
    }
    return true
  }

  *makeRoom(): Generator<void> {
    if (this.#entryLength > 0) {
      yield* this.engine.spill()
      return
    }
    if (this.#options.combine === undefined && this.#cells.size > 0 && this.#bytes <= this.#limitBytes) {
      // Items of other keys are spilled from now on.
      this.#isClosed = true
      return
    }
    yield* this.#flush()
  }

  *finish(): Generator<void> {
    if (!this.#hasSpilled) {
      this.#sorted = [...this.#cells.keys()].sort()
      if (this.#options.reverse === true) this.#sorted.reverse()
      return
    }
    yield* this.#flush()
    yield* this.engine.finish()
    this.#isAtEntry = this.engine.next()
  }

  next(): [K, A] | undefined {
    if (this.#sorted !== undefined) {
      const name = this.#sorted[this.#next++]
      if (name === undefined) return undefined
      const key = Buffer.from(name, 'latin1')
      return [decodeKey(key, 0, key.length) as K, this.#cells.get(name)!.accumulator]
    }
    if (!this.#isAtEntry) return undefined
    const { engine } = this
    const bytes = engine.bytes.slice(engine.keyStart, engine.keyEnd)
    const key = decodeKey(bytes, 0, bytes.length) as K
    let accumulator: A | undefined
    let isFirst = true
    do {
      accumulator = this.#fold(key, accumulator, isFirst)
      isFirst = false
      this.#isAtEntry = engine.next()
    } while (this.#isAtEntry && compareBytes(engine.bytes, engine.keyStart, engine.keyEnd, bytes, 0, bytes.length) === 0)
    return [key, accumulator as A]
  }

  #fold(key: K, accumulator: A | undefined, isFirst: boolean): A {
    const { engine } = this
    const { init, reduce, combine } = this.#options
    const start = engine.valueStart + 1
    if (engine.bytes[engine.valueStart] === ITEM) {
      return reduce(isFirst ? init(key) : accumulator as A, this.#items.decode(engine.bytes, start, engine.valueEnd) as T)
    }
    const part = groupValue.decode(engine.bytes, start, engine.valueEnd) as A
    return isFirst ? part : combine!(accumulator as A, part)
  }

  *#flush(): Generator<void> {
    this.#hasSpilled = true
    if (this.#options.combine === undefined) this.#isClosed = true
    for (const [name, cell] of this.#cells) {
      groupValue.encode(cell.accumulator, this.#scratch)
      this.#entryKey = Buffer.from(name, 'latin1')
      this.#compose(ACCUMULATOR)
      while (!this.#put()) yield* this.engine.spill()
      this.#cells.delete(name)
    }
    this.#bytes = 0
    this.#lease.resize(SCRATCH_BYTES)
  }

  #spillItem(item: T): boolean {
    this.#hasSpilled = true
    this.#items.encode(item, this.#scratch)
    this.#entryKey = this.#keys.bytes.subarray(0, this.#keys.length)
    this.#compose(ITEM)
    return this.#put()
  }

  #compose(kind: number): void {
    const { bytes, start, end } = this.#scratch
    const length = end - start + 1
    if (length > this.engine.largestBytes) throw tooLarge(length, this.engine.largestBytes)
    if (length > this.#entryValue.length) this.#growEntry(length)
    this.#entryValue[0] = kind
    this.#entryValue.set(bytes.subarray(start, end), 1)
    this.#entryLength = length
  }

  /** Drops the contents. */
  #growEntry(length: number): void {
    const lease = this.#entryLease
    this.#entryValue = NO_ENTRY
    lease.resize(0)
    const bytes = Math.max(2 * length, FIRST_ENTRY_BYTES)
    if (!lease.resize(bytes) && !lease.resize(length)) throw tooLarge(length, lease.account.budget.freeBytes)
    this.#entryValue = Buffer.allocUnsafeSlow(lease.bytes)
  }

  /** Estimated heap bytes. Throws INVALID_ARGUMENT if it could not be spilled. */
  #sizeOf(value: unknown): number {
    if (typeof value === 'string') return 2 * value.length
    if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return 16
    const scratch = this.#scratch
    groupValue.encode(value, scratch)
    const bytes = scratch.end - scratch.start
    scratch.release()
    return 64 + 4 * bytes
  }

  #put(): boolean {
    const key = this.#entryKey
    if (!this.engine.add(key, 0, key.length, this.#entryValue, 0, this.#entryLength)) return false
    this.#entryLength = 0
    return true
  }
}

const NOTHING = new Uint8Array(0)

function tooLarge(bytes: number, largestBytes: number): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_BUDGET_TOO_SMALL',
    `an item or accumulator of ${formatSize(bytes)} is above the maximum of ${formatSize(largestBytes)} in this budget. Raise the budget`,
    { details: { bytes, largestBytes } },
  )
}

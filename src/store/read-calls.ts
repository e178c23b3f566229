/**
 * Read calls: arguments are checked and encoded, then answered by `point-reader.ts` (keys) or an iterator (ranges).
 *
 * Invariants
 * 1. A read sees every write called before it, except those waiting for memory: the pending group is committed first.
 * 2. Reads that are answered at once still leave the event loop its turns.
 *
 * Account: none; see `iterators` and `cold reads`. Cost: of a get, the decoded value and its promise.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Hit } from '../base/cursor.ts'
import { invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import type { EncodeBuffers } from './api/encode-buffers.ts'
import { findAsync } from './read/async-get.ts'
import type { GroupCommit } from './write/group-commit.ts'
import type { StoreState } from './state/store-state.ts'
import { describe } from '../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../encoding/encoding.ts'
import { ofKey } from '../encoding/encoding-error.ts'
import { readError } from './api/io-errors.ts'
import { SpillwayIterator } from './scan/iterator.ts'
import { checkedOrder } from './scan/iterator-plan.ts'
import { MAX_KEY_BYTES, encodeKey } from './api/operations.ts'
import { RANGE_OPTIONS, byteRange } from './api/key-range.ts'
import { decodeValue } from './read/point-reader.ts'
import type { PointReader } from './read/point-reader.ts'
import { Snapshot } from './api/snapshots.ts'
import { dueYield, nextYield } from './state/event-loop-yield.ts'
import type { AnyEncodings } from '../encoding/encoding-types.ts'
import type { OrderOptions, RangeOptions, SnapshotOptions } from './api/options.ts'

export type ReadCallOptions = SnapshotOptions & AnyEncodings

const READ_OPTIONS = ['snapshot', 'keyEncoding', 'valueEncoding']
const ITERATOR_OPTIONS = [...RANGE_OPTIONS, ...READ_OPTIONS, 'reverse', 'limit']
const COUNT_OPTIONS = [...RANGE_OPTIONS, 'snapshot', 'keyEncoding']
/** Gets answered at once in a row. */
const GETS_PER_TURN = 1024
/** The result for missing keys: one promise for all. */
const NOTHING = Promise.resolve(undefined)
/** Entries counted in one step. */
const COUNT_SLICE = 20_000

/** The types of keys and values are those of the calling methods (`spillway.ts`). */
export class ReadCalls {
  readonly #core: StoreState
  readonly #committer: GroupCommit
  readonly #reader: PointReader
  readonly #scratch: EncodeBuffers
  readonly #keyScratch: Scratch
  #gets = 0

  constructor(core: StoreState, committer: GroupCommit, reader: PointReader, scratch: EncodeBuffers) {
    this.#core = core
    this.#committer = committer
    this.#reader = reader
    this.#scratch = scratch
    this.#keyScratch = scratch.key
  }

  // ---- of keys

  get(key: unknown, options: ReadCallOptions | undefined): Promise<any> {
    try {
      const isLast = ++this.#gets % GETS_PER_TURN === 0
      if (this.#core.engine.reading.isAsync && !isLast) {
        const values = this.#scratch.values(options)
        return this.#findBeside(key, options, hit => this.#valueOf(key, hit, values))
      }
      const value = this.getSync(key, options)
      return isLast ? this.#turn(value) : value === undefined ? NOTHING : Promise.resolve(value)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  getSync(key: unknown, options: ReadCallOptions | undefined): any {
    const hit = this.#find(key, options)
    if (hit === undefined) return undefined
    const values = this.#scratch.values(options)
    try {
      return this.#valueOf(key, hit, values)
    } catch (error) {
      throw readError(error)
    }
  }

  async getMany(keys: readonly unknown[], options: ReadCallOptions | undefined): Promise<any[]> {
    if (options !== undefined) checkOptions(options, READ_OPTIONS, 'getMany')
    if (this.#core.engine.reading.isAsync && Array.isArray(keys)) return Promise.all(keys.map(key => this.get(key, options)))
    const values = this.getManySync(keys, options)
    const left = GETS_PER_TURN - this.#gets % GETS_PER_TURN
    const gets = Math.max(1, keys.length)
    this.#gets += gets
    return gets < left ? values : this.#turn(values)
  }

  getManySync(keys: readonly unknown[], options: ReadCallOptions | undefined): any[] {
    // Even without keys.
    if (options !== undefined) checkOptions(options, READ_OPTIONS, 'getMany')
    if (!Array.isArray(keys)) throw invalidArgument(`getMany takes an array of keys, not ${describe(keys)}`)
    return keys.map(key => this.getSync(key, options))
  }

  async has(key: unknown, options: ReadCallOptions | undefined): Promise<boolean> {
    const isLast = ++this.#gets % GETS_PER_TURN === 0
    if (this.#core.engine.reading.isAsync && !isLast) return this.#findBeside(key, options, hit => hit !== undefined)
    const isThere = this.hasSync(key, options)
    return isLast ? this.#turn(isThere) : isThere
  }

  hasSync(key: unknown, options: ReadCallOptions | undefined): boolean {
    return this.#find(key, options) !== undefined
  }

  // ---- of ranges

  iterator(options: OrderOptions<unknown> & ReadCallOptions, withKeys: boolean, withValues: boolean): SpillwayIterator<any> {
    const core = this.#core
    const scratch = this.#scratch
    this.settle()
    checkOptions(options, ITERATOR_OPTIONS, 'iterator')
    const { reverse, limit } = checkedOrder(options)
    const keys = scratch.keys(options)
    const range = byteRange(options, keys, scratch.key)
    return new SpillwayIterator(core, {
      range, reverse, limit,
      keys: withKeys ? keys : undefined,
      values: withValues ? scratch.values(options) : undefined,
      targets: keys, targetScratch: scratch.target,
      snapshotSeq: core.snapshots.seqOf(options.snapshot, core.lastSeq),
      parent: options.snapshot?.listed,
    })
  }

  async count(range: RangeOptions<unknown> & ReadCallOptions): Promise<number> {
    checkOptions(range, COUNT_OPTIONS, 'count')
    const iterator = this.iterator(range, true, false)
    try {
      const turn = dueYield(this.#core)
      if (turn !== undefined) await turn
      let count = 0
      while (!iterator.ended) {
        count += iterator.countSync(COUNT_SLICE)
        if (!iterator.ended) await nextYield(this.#core)
      }
      return count
    } finally {
      iterator.closeSync()
    }
  }

  snapshot(): Snapshot {
    this.settle()
    const { snapshots, lastSeq, lostHandles, engine } = this.#core
    return new Snapshot(snapshots.add(lastSeq), lostHandles, engine.budget.handles)
  }

  // ---- before each

  /** Commit the pending group, and refuse calls from inside a codec. */
  settle(): void {
    this.#core.health.checkOpen()
    this.#scratch.checkReentry()
    if (this.#committer.hasPending) this.#committer.commitGroup()
    if (this.#core.engine.reading.isLookDue) this.#core.engine.lookAfterReaders()
  }

  #find(key: unknown, options: ReadCallOptions | undefined): Hit | undefined {
    const snapshotSeq = this.#load(key, options)
    const scratch = this.#keyScratch
    if (scratch.end - scratch.start > MAX_KEY_BYTES) return undefined
    try {
      return this.#reader.find(scratch.bytes, scratch.start, scratch.end, snapshotSeq)
    } catch (error) {
      throw readError(error)
    }
  }

  /** `find` off the main thread. Views passed to `answer` are invalid after it returns. */
  #findBeside<T>(key: unknown, options: ReadCallOptions | undefined, answer: (hit: Hit | undefined) => T): Promise<T> {
    const snapshotSeq = this.#load(key, options)
    const scratch = this.#keyScratch
    if (scratch.end - scratch.start > MAX_KEY_BYTES) return Promise.resolve(answer(undefined))
    return findAsync(this.#core, this.#reader, scratch.bytes, scratch.start, scratch.end, snapshotSeq, answer)
  }

  /** Encode a key into its scratch; returns the sequence number to read at. */
  #load(key: unknown, options: ReadCallOptions | undefined): number {
    const core = this.#core
    this.settle()
    if (options !== undefined) checkOptions(options, READ_OPTIONS, 'get')
    const snapshotSeq = options === undefined ? core.lastSeq : core.snapshots.seqOf(options.snapshot, core.lastSeq)
    encodeKey(key, this.#scratch.keys(options), this.#keyScratch)
    return snapshotSeq
  }

  #valueOf(key: unknown, hit: Hit | undefined, values: Transcoder): unknown {
    if (hit === undefined) return undefined
    const { value } = hit
    // The memtable's arena may be reused before the next read.
    hit.value = EMPTY
    try {
      return decodeValue(this.#core, values, hit.kind, value, hit.valueStart, hit.valueEnd)
    } catch (error) {
      throw ofKey(error, 'value', key)
    }
  }

  /** Resolve a value after a turn of the event loop: a loop of immediate reads would leave it none. */
  #turn<T>(value: T): Promise<T> {
    return nextYield(this.#core).then(() => value)
  }
}

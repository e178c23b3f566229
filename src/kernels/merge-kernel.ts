/**
 * The state of one merge in wasm memory (assembly/merge.ts): slots for the blocks of its inputs, and the block being filled.
 *
 * Invariants
 * 1. It is one piece of the kernels' arena, between `open` and `close`. Several merges may alternate.
 * 2. A slot's block was checked (`dataBlockProblem`) before it is opened, and does not change while open.
 *
 * Cost: `bytesFor`; a call takes a few nanoseconds plus its work.
 */
import { KIND_PUT } from '../base/cursor.ts'
import type { KernelExports, Kernels } from './kernels.ts'

// As in assembly/merge-layout.ts: addresses divided by 4, those of f64 by 8.
const HEAP_SIZE = 0
const HEAP = 1
const SNAPSHOT_COUNT = 2
const SNAPSHOTS = 3
const CUT_AT_F64 = 2
const OUTSIDE_MIN_F64 = 3
const WATCH_LENGTH = 8
const WATCH = 9
const SEEN_LENGTH = 10
const SEEN = 11
const SEEN_STRATUM = 12
const STARTS_KEY = 13
const TOP_DONE = 14
const BLOCK_BYTES = 15
const ENTRIES_IN = 16
const STEP_BYTES = 17
const ADDED = 18
const ADDED_DELETES = 19
const ADDED_KEY_BYTES = 20
const ADDED_VALUE_BYTES = 21
const ADDED_MIN_SEQ_F64 = 11
const ADDED_MAX_SEQ_F64 = 12
const LAST_SEQ_F64 = 13
const COUNT = 28
const PREFIX_LENGTH = 29
const KEY_BYTES = 30
const VALUE_BYTES = 33
const DISTINCT = 34
const COLUMNS = 40
const LAST_KEY_LENGTH = 50
const KEY_COST = 51
const STATE_BYTES = 208

const INPUT_BYTES = 112
const I_KEY = 0
const I_KEY_LENGTH = 1
const I_SEQ_F64 = 2
const I_VALUE = 6
const I_VALUE_LENGTH = 7
const I_KIND = 8
const I_AT = 9

export const EVENT_INPUT = 1
export const EVENT_ENTRY = 2
export const EVENT_WATCH = 3
export const EVENT_END = 4

/** Steps of 16 bytes read and write beyond their range. */
export const SLOT_ROOM_BYTES = 16
/** Longer watched keys are cut; then some earlier entries stop too. */
const WATCH_BYTES = 256
const NONE = 0xffff_ffff

export interface MergeShape {
  inputs: number
  /** Per input, a multiple of 8. */
  slotBytes: number
  /** Target size. */
  blockBytes: number
  /** Ascending. */
  snapshots: readonly number[]
}

export class MergeKernel {
  readonly memory: Uint8Array
  readonly slotBytes: number
  readonly blockBytes: number
  readonly #kernels: Kernels
  readonly #exports: KernelExports
  readonly #words: Uint32Array
  readonly #numbers: Float64Array
  readonly #at: number
  /** Index of the state in #words and #numbers. */
  readonly #w: number
  readonly #f: number
  readonly #inputs: number
  readonly #slots: number
  readonly #values: number
  readonly #hashes: number
  readonly #firsts: number
  readonly #lastKey: number
  readonly #seen: number
  readonly #watch: number

  static bytesFor(shape: MergeShape): number {
    let end = 0
    layOut(shape, bytes => end += bytes)
    return end
  }

  /** Undefined: the arena has no space. */
  static open(kernels: Kernels, shape: MergeShape): MergeKernel | undefined {
    const at = kernels.takeArena(MergeKernel.bytesFor(shape))
    return at < 0 ? undefined : new MergeKernel(kernels, at, shape)
  }

  private constructor(kernels: Kernels, at: number, shape: MergeShape) {
    const { inputs, slotBytes, blockBytes, snapshots } = shape
    this.#kernels = kernels
    this.#exports = kernels.exports
    this.memory = kernels.memory
    this.slotBytes = slotBytes
    this.blockBytes = blockBytes
    const { buffer } = kernels.memory
    const words = this.#words = new Uint32Array(buffer)
    const numbers = this.#numbers = new Float64Array(buffer)
    this.#at = at
    const w = this.#w = at >>> 2
    this.#f = at >>> 3
    kernels.memory.fill(0, at, at + STATE_BYTES)
    let end = at
    const { snapshotsAt, columns, seen, watch, heap, records, slots } = layOut(shape, bytes => {
      const start = end
      end += bytes
      return start
    })
    numbers.set(snapshots, snapshotsAt >>> 3)
    columns.forEach((column, i) => { words[w + COLUMNS + i] = column })
    words[w + SNAPSHOT_COUNT] = snapshots.length
    words[w + SNAPSHOTS] = snapshotsAt
    words[w + HEAP] = heap
    words[w + SEEN] = this.#seen = seen
    words[w + WATCH] = this.#watch = watch
    words[w + SEEN_LENGTH] = words[w + WATCH_LENGTH] = NONE
    words[w + BLOCK_BYTES] = blockBytes
    this.#values = columns[1]!
    this.#hashes = columns[7]!
    this.#firsts = columns[8]!
    this.#lastKey = columns[9]!
    this.#inputs = records
    this.#slots = slots
    if (slots + inputs * slotBytes > kernels.memory.length) throw new RangeError('a merge beyond the kernel memory')
    this.resetBlock()
  }

  close(): void {
    this.#kernels.giveArena(this.#at)
  }

  /** Address for input `i`; leave SLOT_ROOM_BYTES free at its end. */
  slotAt(i: number): number { return this.#slots + i * this.slotBytes }


  openBlock(i: number, keyRoom: number, block: number, at: number): void {
    this.#exports.openBlock(this.#inputs + i * INPUT_BYTES, keyRoom, block, at)
  }

  openRecords(i: number, at: number, count: number): void {
    this.#exports.openRecords(this.#inputs + i * INPUT_BYTES, at, count)
  }

  /** Begin with the opened inputs: the first `count` of `order`. */
  begin(order: ArrayLike<number>, count: number): void {
    const heap = this.#words[this.#w + HEAP]! >>> 2
    for (let i = 0; i < count; i++) this.#words[heap + i] = this.#inputs + order[i]! * INPUT_BYTES
    this.#words[this.#w + TOP_DONE] = 0
    this.#exports.buildHeap(this.#at, count)
  }

  /** Returns an EVENT. */
  run(): number { return this.#exports.merge(this.#at) }

  /** Number of the input on top. */
  get top(): number { return (this.#words[this.#words[this.#w + HEAP]! >>> 2]! - this.#inputs) / INPUT_BYTES }
  get isOver(): boolean { return this.#words[this.#w + HEAP_SIZE] === 0 }

  /** The top input has a new block, or is over. */
  settleTop(isOver: boolean): void { this.#exports.settleTop(this.#at, isOver) }

  /** Index of an input's current entry in its block. */
  positionOf(i: number): number { return this.#words[(this.#inputs + i * INPUT_BYTES >>> 2) + I_AT]! }

  show(i: number, entry: KernelEntry): void {
    const at = this.#inputs + i * INPUT_BYTES
    const w = at >>> 2
    const words = this.#words
    entry.key = entry.value = this.memory
    entry.keyStart = words[w + I_KEY]!
    entry.keyEnd = entry.keyStart + words[w + I_KEY_LENGTH]!
    entry.seq = this.#numbers[(at >>> 3) + I_SEQ_F64]!
    entry.kind = words[w + I_KIND]!
    entry.valueStart = words[w + I_VALUE]!
    entry.valueEnd = entry.valueStart + words[w + I_VALUE_LENGTH]!
  }


  /** The table ends at the first key before which the block has this size, with `keyCost` per key. */
  cutAt(bytes: number, keyCost: number): void {
    this.#numbers[this.#f + CUT_AT_F64] = bytes
    this.#words[this.#w + KEY_COST] = keyCost
  }
  set outsideMin(seq: number) { this.#numbers[this.#f + OUTSIDE_MIN_F64] = seq }
  get startsKey(): boolean { return this.#words[this.#w + STARTS_KEY] !== 0 }
  set startsKey(starts: boolean) { this.#words[this.#w + STARTS_KEY] = starts ? 1 : 0 }

  /** Stop at this key and later ones. */
  watch(key: Uint8Array, start: number, end: number): void {
    const length = Math.min(end - start, WATCH_BYTES)
    this.memory.set(key.subarray(start, start + length), this.#watch)
    this.#words[this.#w + WATCH_LENGTH] = length
  }

  watchNothing(): void { this.#words[this.#w + WATCH_LENGTH] = NONE }

  /** Address and length of the last key, -1 = none, and the stripe of its last version. */
  get seenAt(): number { return this.#seen }
  get seenLength(): number { return this.#words[this.#w + SEEN_LENGTH]! | 0 }
  get seenStratum(): number { return this.#words[this.#w + SEEN_STRATUM]! | 0 }
  /** The key was put at `seenAt`; at most `slotBytes` long. */
  setSeen(length: number, stripe: number): void {
    this.#words[this.#w + SEEN_LENGTH] = length
    this.#words[this.#w + SEEN_STRATUM] = stripe
  }


  takeEntriesIn(): number { return this.#take(ENTRIES_IN) }
  takeStepBytes(): number { return this.#take(STEP_BYTES) }
  takeDeletes(): number { return this.#take(ADDED_DELETES) }
  takeKeyBytes(): number { return this.#take(ADDED_KEY_BYTES) }
  takeValueBytes(): number { return this.#take(ADDED_VALUE_BYTES) }
  /** Call last: the other counts cover these entries. */
  takeAdded(): number { return this.#take(ADDED) }
  get added(): number { return this.#words[this.#w + ADDED]! }
  get addedMinSeq(): number { return this.#numbers[this.#f + ADDED_MIN_SEQ_F64]! }
  get addedMaxSeq(): number { return this.#numbers[this.#f + ADDED_MAX_SEQ_F64]! }
  get lastSeq(): number { return this.#numbers[this.#f + LAST_SEQ_F64]! }
  get lastKeyAt(): number { return this.#lastKey }
  get lastKeyLength(): number { return this.#words[this.#w + LAST_KEY_LENGTH]! }

  #take(field: number): number {
    const taken = this.#words[this.#w + field]!
    this.#words[this.#w + field] = 0
    return taken
  }


  get count(): number { return this.#words[this.#w + COUNT]! }
  get prefixLength(): number { return this.#words[this.#w + PREFIX_LENGTH]! }
  get keyBytes(): number { return this.#words[this.#w + KEY_BYTES]! }
  /** Entries that begin a key. */
  get distinct(): number { return this.#words[this.#w + DISTINCT]! }
  get valueBytes(): number { return this.#words[this.#w + VALUE_BYTES]! }
  hashOf(i: number): number { return this.#words[(this.#hashes >>> 2) + i]! }
  isFirst(i: number): boolean { return this.memory[this.#firsts + i] !== 0 }

  /** Add an entry that fits, from any address. */
  add(
    key: Uint8Array, keyStart: number, keyEnd: number, shared: number, isFirst: boolean, hash: number,
    seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): void {
    const memory = this.memory
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    let keyAt = this.#lastKey
    if (key.buffer === memory.buffer) keyAt = key.byteOffset + keyStart
    else memory.set(key.subarray(keyStart, keyEnd), keyAt)
    let valueAt = this.#values + this.valueBytes
    if (value.buffer === memory.buffer) valueAt = value.byteOffset + valueStart
    else if (valueLength > 0) memory.set(value.subarray(valueStart, valueEnd), valueAt)
    this.#exports.addEntry(this.#at, keyAt, keyLength, valueAt, valueLength, seq, kind, shared, isFirst, hash)
  }

  /** Returns the end. */
  encodeBlock(at: number): number { return this.#exports.encodeBlock(this.#at, at) }
  resetBlock(): void { this.#exports.resetBlock(this.#at) }
}

/** The top entry of a merge, as a writer sees it. */
export class KernelEntry {
  key: Uint8Array = new Uint8Array(0)
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind: number = KIND_PUT
  value: Uint8Array = this.key
  valueStart = 0
  valueEnd = 0
}

/** Calls `place` with the size of each part in turn. */
function layOut({ inputs, slotBytes, blockBytes, snapshots }: MergeShape, place: (bytes: number) => number): Layout {
  const part = (bytes: number): number => place(Math.ceil(bytes / 16) * 16)
  part(STATE_BYTES)
  const entries = Math.ceil(blockBytes / 8)
  const room = SLOT_ROOM_BYTES
  // As in merge-layout.ts: keys, values, skips, ends, value ends, seqs, kinds, hashes, firsts, last key.
  const sizes = [2 * blockBytes + room, blockBytes + room, entries * 4, entries * 4, entries * 4, entries * 8, entries, entries * 4, entries, blockBytes + room]
  const columns = sizes.map(part)
  return {
    columns, snapshotsAt: part(snapshots.length * 8), seen: part(slotBytes + room), watch: part(WATCH_BYTES + room),
    heap: part(inputs * 4), records: part(inputs * INPUT_BYTES), slots: part(inputs * slotBytes),
  }
}

interface Layout {
  columns: number[]
  snapshotsAt: number
  seen: number
  watch: number
  heap: number
  records: number
  slots: number
}

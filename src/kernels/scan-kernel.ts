/**
 * Range reads in wasm memory (assembly/scan.ts): slots for the blocks of its inputs, and the resulting rows.
 *
 * Invariants
 * 1. It uses the upper halves of the kernels' regions, from `begin` until something uses more than LOWER_BYTES of a region: one
 *    call of an iterator, whose block loads are checked for size.
 * 2. A slot's block was checked (`dataBlockProblem`) before it is opened, and does not change while open.
 *
 * Account: `kernels`. Cost: a call takes a few nanoseconds plus its work; no allocation.
 */
import type { KernelExports, Kernels } from './kernels.ts'
import { SLOT_ROOM_BYTES } from './merge-kernel.ts'

// As in assembly/scan-layout.ts: addresses divided by 4, those of f64 by 8.
const HEAP_SIZE = 0
const HEAP = 1
const SNAPSHOT_F64 = 1
const BOUND_LENGTH = 4
const BOUND = 5
const SEEN_LENGTH = 6
const SEEN = 7
const COUNT = 8
const MAX_ROWS = 9
const ROWS = 10
const KEYS = 11
const KEY_BYTES = 12
const KEY_ROOM = 13
const VALUES = 14
const VALUE_BYTES = 15
const VALUE_ROOM = 16
const TAKEN = 17
const MAX_TAKEN = 18
const COST = 19
const KEY_EIGHTHS = 20
const VALUE_EIGHTHS = 21
const KEY_BITS = 22
const VALUE_BITS = 23
const STATE_BYTES = 128
const ROW_WORDS = 4

const INPUT_BYTES = 112
const I_SEQ_F64 = 2
const I_AT = 9
const I_MIN_SEQ_F64 = 12

export const SCAN_INPUT = 1
export const SCAN_ENTRY = 2
export const SCAN_BOUND = 3
export const SCAN_END = 4
export const SCAN_FULL = 5

/** Part of each region left to block loads. */
export const LOWER_BYTES: number = 128 * 1024
export const MAX_SCAN_ROWS = 1024
/** Limit of keys and bounds. */
export const MAX_KERNEL_KEY_BYTES = 2000
const MAX_INPUTS = 64
const KEY_AREA_BYTES = 36 * 1024
const VALUE_AREA_BYTES = 76 * 1024
const LIMIT = 0x7fff_ffff
const NONE = 0xffff_ffff

/** A column of rows. */
export interface Column {
  readonly at: number
  readonly isAscii: boolean
  /** Index in `words` of the end of row 0, counted from `at`; further rows in steps of ROW_WORDS. */
  readonly ends: number
}

const known = new WeakMap<Kernels, ScanKernel | null>()

export class ScanKernel {
  readonly memory: Uint8Array
  readonly words: Uint32Array
  readonly numbers: Float64Array
  readonly #exports: KernelExports
  readonly #at: number
  readonly #w: number
  readonly #bound: number
  readonly #seen: number
  readonly #heap: number
  readonly #records: number
  readonly #slots: number
  readonly #slotsEnd: number
  readonly #rows: number
  readonly #keys: number
  readonly #values: number
  #slotBytes = 0

  /** Undefined: the regions are too small. */
  static of(kernels: Kernels): ScanKernel | undefined {
    let kernel = known.get(kernels)
    if (kernel === undefined) {
      kernel = kernels.regionBytes >= 2 * LOWER_BYTES ? new ScanKernel(kernels) : null
      known.set(kernels, kernel)
    }
    return kernel ?? undefined
  }

  private constructor(kernels: Kernels) {
    const { buffer } = kernels.memory
    this.memory = kernels.memory
    this.words = new Uint32Array(buffer)
    this.numbers = new Float64Array(buffer)
    this.#exports = kernels.exports
    let end = roundUp(kernels.a + LOWER_BYTES)
    const part = (bytes: number): number => {
      const at = end
      end += roundUp(bytes)
      return at
    }
    this.#at = part(STATE_BYTES)
    this.#w = this.#at >>> 2
    this.#bound = part(MAX_KERNEL_KEY_BYTES + SLOT_ROOM_BYTES)
    this.#seen = part(MAX_KERNEL_KEY_BYTES + SLOT_ROOM_BYTES)
    this.#heap = part(MAX_INPUTS * 4)
    this.#records = part(MAX_INPUTS * INPUT_BYTES)
    this.#slots = end
    this.#slotsEnd = kernels.b
    end = roundUp(kernels.b + LOWER_BYTES)
    this.#rows = part(MAX_SCAN_ROWS * ROW_WORDS * 4)
    this.#keys = part(KEY_AREA_BYTES + SLOT_ROOM_BYTES)
    this.#values = part(VALUE_AREA_BYTES + SLOT_ROOM_BYTES)
    if (end > kernels.b + kernels.regionBytes) throw new RangeError('a scan beyond the kernel regions')
  }

  /** Lay out slots for blocks of about this size. False: no space. */
  layOut(inputs: number, blockBytes: number): boolean {
    this.#slotBytes = roundUp(blockBytes + 1024)
    return inputs <= MAX_INPUTS && this.#slotBytes <= VALUE_AREA_BYTES && this.#slots + inputs * this.#slotBytes <= this.#slotsEnd
  }

  get slotBytes(): number { return this.#slotBytes }
  /** Address for input `i`; leave SLOT_ROOM_BYTES free at its end. */
  slotAt(i: number): number { return this.#slots + i * this.#slotBytes }

  /** Begin a scan, or part of one. `bound`: the first key outside, at most MAX_KERNEL_KEY_BYTES. */
  begin(snapshotSeq: number, bound: Uint8Array | undefined, withKeys: boolean, withValues: boolean): void {
    const words = this.words
    const w = this.#w
    words[w + HEAP_SIZE] = 0
    words[w + HEAP] = this.#heap
    this.numbers[(this.#at >>> 3) + SNAPSHOT_F64] = snapshotSeq
    words[w + BOUND] = this.#bound
    words[w + BOUND_LENGTH] = bound === undefined ? NONE : bound.length
    if (bound !== undefined) this.memory.set(bound, this.#bound)
    words[w + SEEN] = this.#seen
    words[w + SEEN_LENGTH] = NONE
    words[w + ROWS] = this.#rows
    words[w + KEYS] = this.#keys
    words[w + VALUES] = this.#values
    words[w + KEY_ROOM] = withKeys ? KEY_AREA_BYTES : 0
    words[w + VALUE_ROOM] = withValues ? VALUE_AREA_BYTES : 0
    words[w + COST] = words[w + KEY_EIGHTHS] = words[w + VALUE_EIGHTHS] = 0
    this.clear(MAX_SCAN_ROWS, LIMIT)
  }

  /** Decoded size of a row: fixed bytes, and eighths of a byte per byte of key and value. */
  cost(bytes: number, keyEighths: number, valueEighths: number): void {
    const words = this.words
    const w = this.#w
    words[w + COST] = bytes
    words[w + KEY_EIGHTHS] = keyEighths
    words[w + VALUE_EIGHTHS] = valueEighths
  }

  /** Discard the rows; space for `rows` more, within a decoded size (the first row always). */
  clear(rows: number, takenBytes: number): void {
    const words = this.words
    const w = this.#w
    words[w + MAX_ROWS] = Math.min(rows, MAX_SCAN_ROWS)
    words[w + MAX_TAKEN] = Math.min(takenBytes, LIMIT)
    words[w + COUNT] = words[w + KEY_BYTES] = words[w + VALUE_BYTES] = words[w + TAKEN] = words[w + KEY_BITS] = words[w + VALUE_BITS] = 0
  }

  /** Input `i` is the block at an address, from entry `position` on; its common prefix is at `keyRoom`. */
  openBlock(i: number, keyRoom: number, block: number, position: number, seqOffset: number): void {
    const at = this.#records + i * INPUT_BYTES
    this.#exports.openBlock(at, keyRoom, block, position)
    if (seqOffset !== 0) {
      this.numbers[(at >>> 3) + I_SEQ_F64]! += seqOffset
      this.numbers[(at >>> 3) + I_MIN_SEQ_F64]! += seqOffset
    }
  }

  openRecords(i: number, at: number, count: number): void {
    this.#exports.openRecords(this.#records + i * INPUT_BYTES, at, count)
  }

  /** Begin with the opened inputs: the first `count` of `order`. */
  start(order: ArrayLike<number>, count: number): void {
    for (let i = 0; i < count; i++) this.words[(this.#heap >>> 2) + i] = this.#records + order[i]! * INPUT_BYTES
    this.#exports.buildHeap(this.#at, count)
  }

  /** Returns an EVENT. */
  run(): number { return this.#exports.scan(this.#at) }

  /** The exhausted input on top. */
  get top(): number { return (this.words[this.#heap >>> 2]! - this.#records) / INPUT_BYTES }
  /** It has a new block, or is over. */
  settleTop(isOver: boolean): void { this.#exports.settleTop(this.#at, isOver) }
  /** Index of an input's current entry in its block. */
  positionOf(i: number): number { return this.words[(this.#records + i * INPUT_BYTES >>> 2) + I_AT]! }

  get rows(): number { return this.words[this.#w + COUNT]! }
  get takenBytes(): number { return this.words[this.#w + TAKEN]! }
  get keyBytes(): number { return this.words[this.#w + KEY_BYTES]! }
  get valueBytes(): number { return this.words[this.#w + VALUE_BYTES]! }
  get keys(): Column { return { at: this.#keys, isAscii: this.words[this.#w + KEY_BITS] === 0, ends: this.#rows >>> 2 } }
  get values(): Column { return { at: this.#values, isAscii: this.words[this.#w + VALUE_BITS] === 0, ends: (this.#rows >>> 2) + 1 } }

  /** A copy; rows must have keys. */
  firstKey(): Uint8Array {
    return this.memory.slice(this.#keys, this.#keys + this.words[this.#rows >>> 2]!)
  }

  /** A copy of the last decided key. */
  seenKey(): Uint8Array | undefined {
    const length = this.words[this.#w + SEEN_LENGTH]! | 0
    return length < 0 ? undefined : this.memory.slice(this.#seen, this.#seen + length)
  }

  /** A key was decided since `begin`. */
  get hasSeen(): boolean { return (this.words[this.#w + SEEN_LENGTH]! | 0) >= 0 }
  /** Address of the last decided key, and its end. */
  get seenAt(): number { return this.#seen }
  get seenEnd(): number { return this.#seen + this.words[this.#w + SEEN_LENGTH]! }

  /** Continue after a decided key, of which older versions may follow. */
  setSeen(key: Uint8Array): void {
    this.memory.set(key, this.#seen)
    this.words[this.#w + SEEN_LENGTH] = key.length
  }

  /** Remove rows for which `isOut` returns true. */
  drop(isOut: (memory: Uint8Array, keyStart: number, keyEnd: number, seq: number) => boolean): void {
    const { memory, words, numbers } = this
    const count = this.rows
    let kept = 0
    let keyFrom = 0
    let valueFrom = 0
    let keyTo = 0
    let valueTo = 0
    for (let i = 0; i < count; i++) {
      const row = (this.#rows >>> 2) + i * ROW_WORDS
      const keyEnd = words[row]!
      const valueEnd = words[row + 1]!
      const seq = numbers[(row >>> 1) + 1]!
      if (!isOut(memory, this.#keys + keyFrom, this.#keys + keyEnd, seq)) {
        if (kept < i) {
          memory.copyWithin(this.#keys + keyTo, this.#keys + keyFrom, this.#keys + keyEnd)
          memory.copyWithin(this.#values + valueTo, this.#values + valueFrom, this.#values + valueEnd)
        }
        keyTo += keyEnd - keyFrom
        valueTo += valueEnd - valueFrom
        const to = (this.#rows >>> 2) + kept * ROW_WORDS
        words[to] = keyTo
        words[to + 1] = valueTo
        kept++
      }
      keyFrom = keyEnd
      valueFrom = valueEnd
    }
    words[this.#w + COUNT] = kept
    words[this.#w + KEY_BYTES] = keyTo
    words[this.#w + VALUE_BYTES] = valueTo
  }
}

export const ROW_STEP = ROW_WORDS

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 16) * 16
}

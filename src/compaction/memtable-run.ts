/**
 * A sealed memtable as the input of a flush: all versions in order, and for the kernel records of the following entries in a slot.
 *
 * Invariant: the slot holds records (layout: kernels/assembly/input.ts) of entries behind the walk; the current entry is the first
 * record left.
 *
 * Cost: one copy of each entry, by words; leaves and versions of some keys are touched in advance, all at once.
 */
import { EMPTY } from '../base/cursor.ts'
import { SLOT_ROOM_BYTES } from '../kernels/merge-kernel.ts'
import type { MergeKernel } from '../kernels/merge-kernel.ts'
import { Arena } from '../memtable/arena.ts'
import { leafKeyLength, leafKeyStart } from '../memtable/art.ts'
import { LeavesAhead } from '../memtable/leaves-ahead.ts'
import { olderVersion, versionHead, versionKind, versionLength, versionSeq } from '../memtable/version.ts'
import type { KernelInput } from './kernel-merge.ts'

const RECORD_HEADER_BYTES = 24
/** Longer keys and values are copied by the engine. */
const LONG_WORDS = 64

export class MemtableRun implements KernelInput {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly #source: Int32Array
  readonly #bytes: Uint8Array
  readonly #ahead: LeavesAhead
  /** Position of the walk; version 0: at its end. */
  #leaf = 0
  #version = 0
  #slot: Uint8Array<ArrayBuffer> = EMPTY
  #words: Int32Array = new Int32Array(0)
  #numbers: Float64Array = new Float64Array(0)
  /** Records in the slot, the current one, and its offset. */
  #count = 0
  #at = 0
  #recordAt = 0

  constructor(buffer: SharedArrayBuffer) {
    const arena = new Arena(buffer)
    this.#source = arena.words
    this.#bytes = arena.bytes
    this.#ahead = new LeavesAhead(arena)
  }

  seekToFirst(): void {
    this.#count = this.#at = 0
    this.#ahead.first()
    this.#nextLeaf()
    this.#show()
  }

  next(): void {
    if (this.#at < this.#count) {
      this.#recordAt = this.#after(this.#recordAt)
      this.#at++
    } else {
      this.#step()
    }
    this.#show()
  }

  useSlot(slot: Uint8Array<ArrayBuffer>): void {
    this.#slot = slot
    this.#words = new Int32Array(slot.buffer, slot.byteOffset, slot.length >>> 2)
    this.#numbers = new Float64Array(slot.buffer, slot.byteOffset, slot.length >>> 3)
  }

  fillSlot(): boolean {
    if (this.#at < this.#count) return true
    const words = this.#words
    const source = this.#source
    const limit = this.#slot.length - SLOT_ROOM_BYTES
    let at = 0
    let count = 0
    for (; this.#version !== 0; this.#step()) {
      const version = this.#version
      const info = source[version + 1]!
      const keyLength = leafKeyLength(source, this.#leaf)
      const valueLength = versionLength(info)
      const end = recordEnd(at, keyLength, valueLength)
      if (end > limit) break
      const w = at >>> 2
      this.#numbers[at >>> 3] = versionSeq(source, version)
      words[w + 2] = keyLength
      words[w + 3] = valueLength
      words[w + 4] = versionKind(info)
      const keyWords = (keyLength + 3) >>> 2
      this.#copyWords(leafKeyStart(this.#leaf) >>> 2, keyWords, w + RECORD_HEADER_BYTES / 4)
      this.#copyWords(version + versionHead(info), (valueLength + 3) >>> 2, w + RECORD_HEADER_BYTES / 4 + keyWords)
      at = end
      count++
    }
    this.#at = this.#recordAt = 0
    this.#count = count
    if (count > 0) this.#show()
    return count > 0
  }

  enter(kernel: MergeKernel, i: number): void {
    kernel.openRecords(i, kernel.slotAt(i) + this.#recordAt, this.#count - this.#at)
  }

  leave(position: number): void {
    for (let i = 0; i < position; i++) this.#recordAt = this.#after(this.#recordAt)
    this.#at += position
    this.#show()
  }

  emptySlot(): void {
    this.#count = this.#at = 0
    this.#show()
  }

  seekToLast(): void { throw forwardOnly() }
  seek(): void { throw forwardOnly() }
  seekBefore(): void { throw forwardOnly() }
  prev(): void { throw forwardOnly() }

  #after(recordAt: number): number {
    const w = recordAt >>> 2
    return recordEnd(recordAt, this.#words[w + 2]!, this.#words[w + 3]!)
  }

  #show(): void {
    if (this.#at < this.#count) {
      const w = this.#recordAt >>> 2
      this.valid = true
      this.key = this.value = this.#slot
      this.keyStart = this.#recordAt + RECORD_HEADER_BYTES
      this.keyEnd = this.keyStart + this.#words[w + 2]!
      this.seq = this.#numbers[this.#recordAt >>> 3]!
      this.kind = this.#words[w + 4]!
      this.valueStart = (this.keyEnd + 3) & ~3
      this.valueEnd = this.valueStart + this.#words[w + 3]!
      return
    }
    const source = this.#source
    const version = this.#version
    this.valid = version !== 0
    if (version === 0) return
    const info = source[version + 1]!
    this.key = this.value = this.#bytes
    this.keyStart = leafKeyStart(this.#leaf)
    this.keyEnd = this.keyStart + leafKeyLength(source, this.#leaf)
    this.seq = versionSeq(source, version)
    this.kind = versionKind(info)
    this.valueStart = (version + versionHead(info)) << 2
    this.valueEnd = this.valueStart + versionLength(info)
  }

  #step(): void {
    this.#version = olderVersion(this.#source, this.#version)
    if (this.#version === 0) this.#nextLeaf()
  }

  #nextLeaf(): void {
    const ahead = this.#ahead
    if (!ahead.next()) return
    this.#leaf = ahead.leaf
    this.#version = ahead.version
  }

  #copyWords(from: number, count: number, to: number): void {
    const words = this.#words
    const source = this.#source
    if (count > LONG_WORDS) {
      words.set(source.subarray(from, from + count), to)
      return
    }
    let i = 0
    for (; i + 4 <= count; i += 4) {
      const at = to + i
      const next = from + i
      words[at] = source[next]!
      words[at + 1] = source[next + 1]!
      words[at + 2] = source[next + 2]!
      words[at + 3] = source[next + 3]!
    }
    for (; i < count; i++) words[to + i] = source[from + i]!
  }
}

function recordEnd(at: number, keyLength: number, valueLength: number): number {
  return (at + RECORD_HEADER_BYTES + ((keyLength + 3) & ~3) + valueLength + 7) & ~7
}

function forwardOnly(): Error {
  return new Error('an input of a flush goes forward only')
}

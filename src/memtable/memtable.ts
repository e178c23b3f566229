/**
 * The write buffer: an adaptive radix tree in one arena, always sorted.
 *
 * Invariants
 * 1. All state is in the arena. Between writes, any number of Memtables over the same SharedArrayBuffer, in any thread, read the
 *    same content; handing over the buffer orders the accesses.
 * 2. One writer. A write happens completely or throws and changes nothing.
 * 3. All memory comes from the arena, which its owner has leased. (A cursor has a small stack of its own; `ranges` copies.)
 *
 * Cost, in bytes of arena, for the only version of a key:
 *
 *     16 + pad4(keyLength) + pad4(valueLength) + nodes        pad4 = rounded up to a multiple of 4
 *
 * 16 = leaf 8 (version link, key length) + version 8 (sequence number, length, kind). Each further version: 12 + pad4(valueLength).
 * 4 more once a sequence number has another high word than the first. Versions above 512 bytes are rounded up by 3 % on average
 * (arena.ts). `nodes`: every node has at least two entries below it, nodes take 28, 48, 88, 168, 456 and 1088 bytes for up to 4, 8,
 * 16, 32, 48 and 256 children. Measured (memtable.bench.ts): 8 to 12 bytes an entry for random and decimal keys.
 */
import type { Cursor, Hit, RangeTombstone } from '../base/cursor.ts'
import { KIND_DELETE } from '../base/cursor.ts'
import { copyBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import {
  Arena, HEADER_WORDS, H_DELETES, H_ENTRIES, H_FREED, H_LARGEST, H_NODES, H_RANGES, H_SEQ_HIGH, H_SMALLEST, MAX_ARENA_BYTES,
  blockWords,
} from './arena.ts'
import { MAX_KEY_BYTES, findLeaf, insertKey, leafWords } from './art.ts'
import { MemtableCursor } from './cursor.ts'
import { MAX_NODE_WORDS, NODE256, NODE4, NODE_BLOCKS, NODE_CHILDREN } from './nodes.ts'
import { newestCovering, rangeWords, readRanges, writeRange } from './ranges.ts'
import {
  MAX_VALUE_BYTES, MAX_VERSION_HEAD, OLDER, TWO_32, WIDE, olderVersion, versionHead, versionKind, versionLength, versionSeq,
  versionWords,
} from './version.ts'

export class Memtable {
  /** Smallest useful arena: the header and a few dozen small entries. */
  static readonly MIN_BYTES: number = HEADER_WORDS * 4 + 6144
  static readonly MAX_BYTES: number = MAX_ARENA_BYTES
  static readonly MAX_KEY_BYTES: number = MAX_KEY_BYTES
  static readonly MAX_VALUE_BYTES: number = MAX_VALUE_BYTES

  readonly capacityBytes: number
  readonly #arena: Arena
  // The arena's arrays, one load nearer.
  readonly #words: Int32Array
  readonly #bytes: Uint8Array

  /**
   * Over a fresh or recycled buffer: call `reset` first. Over a sealed one from another thread: just read. Throws INVALID_ARGUMENT
   * unless it has MIN_BYTES to MAX_BYTES.
   */
  constructor(buffer: SharedArrayBuffer | ArrayBuffer) {
    if (buffer.byteLength < Memtable.MIN_BYTES) {
      throw invalidArgument(
        `a memtable needs at least ${Memtable.MIN_BYTES} bytes, not ${buffer.byteLength}`, { bytes: buffer.byteLength },
      )
    }
    this.#arena = new Arena(buffer)
    this.#words = this.#arena.words
    this.#bytes = this.#arena.bytes
    this.capacityBytes = this.#arena.capacityWords * 4
  }

  /** Empty it; writes only the header. Existing views become invalid. */
  reset(): void { this.#arena.reset() }

  /** Bytes allocated, header and free lists included. usedBytes + freeBytes = capacityBytes. */
  get usedBytes(): number { return this.capacityBytes - this.#arena.freeWords * 4 }
  /** Bytes never allocated. */
  get freeBytes(): number { return this.#arena.freeWords * 4 }
  /** Part of `usedBytes` on free lists. */
  get reusableBytes(): number { return this.#words[H_FREED]! * 4 }
  /** Part of `usedBytes` in entries. */
  get liveBytes(): number { return this.usedBytes - this.reusableBytes - HEADER_WORDS * 4 }
  /** Live versions with deletions, without range tombstones. */
  get entryCount(): number { return this.#words[H_ENTRIES]! }
  /** Live versions that are deletions. */
  get deleteCount(): number { return this.#words[H_DELETES]! }
  get rangeCount(): number { return this.#words[H_RANGES]! }
  /** Sequence number of the first write since `reset`, replaced or not; 0 = none. Range tombstones count. */
  get smallestSeq(): number { return readSeq(this.#words, H_SMALLEST) }
  /** Sequence number of the last write; 0 = none. Range tombstones count. */
  get largestSeq(): number { return readSeq(this.#words, H_LARGEST) }

  /** Upper bound of the arena bytes of one put, whatever the tree. Infinity for lengths that put refuses. */
  static worstCaseBytes(keyLength: number, valueLength: number): number {
    return Memtable.recordBytes(keyLength, valueLength) + MAX_NODE_WORDS * 4
  }

  /** Part of `worstCaseBytes` without inner nodes, to be summed for `fitsBatch`. */
  static recordBytes(keyLength: number, valueLength: number): number {
    if (keyLength > MAX_KEY_BYTES || valueLength > MAX_VALUE_BYTES) return Infinity
    return (leafWords(keyLength) + blockWords(MAX_VERSION_HEAD + ((valueLength + 3) >>> 2))) * 4
  }

  /** Exact bytes of one deleteRange. */
  static rangeBytes(startLength: number, endLength: number): number { return rangeWords(startLength, endLength) * 4 }

  /** Conservative: true if such a put surely fits. */
  fits(keyLength: number, valueLength: number): boolean {
    return Memtable.worstCaseBytes(keyLength, valueLength) <= this.freeBytes
  }

  /**
   * Conservative: true if `count` puts whose `recordBytes` add up to `recordBytes` surely fit. Closer than a sum of
   * `worstCaseBytes`, because new nodes need existing nodes or new entries.
   */
  fitsBatch(count: number, recordBytes: number): boolean {
    // The worst case of all fits: nothing to compute.
    if (recordBytes + count * MAX_NODE_WORDS * 4 <= this.freeBytes) return true
    let nodeWords = count * NODE_BLOCKS[NODE4]!
    for (let type = NODE4; type < NODE256; type++) {
      // A node that fills up within the batch has first taken the steps of its type.
      const entriesOnCreation = type === NODE4 ? 2 : NODE_CHILDREN[type - 1]! + 1
      const fresh = Math.floor(count / (NODE_CHILDREN[type]! - entriesOnCreation + 2))
      nodeWords += Math.min(count, this.#words[H_NODES + type]! + fresh) * NODE_BLOCKS[type + 1]!
    }
    // One put takes at most one node.
    return recordBytes + Math.min(nodeWords, count * MAX_NODE_WORDS) * 4 <= this.freeBytes
  }

  /**
   * Write one version. `seq` (1 to 2^53 - 1) never decreases. `keepSeq` is the newest sequence number of an open snapshot, 0 =
   * none: a newest version above it is replaced and its space reused, else it stays behind the new one. Key and value are copied
   * and must not be views of this arena. Throws INVALID_ARGUMENT when full (ask `fits`) or for arguments out of range, and changes
   * nothing.
   */
  put(
    key: Uint8Array, keyStart: number, keyEnd: number, seq: number, kind: number,
    value: Uint8Array, valueStart: number, valueEnd: number, keepSeq: number,
  ): void {
    const words = this.#words
    const length = valueEnd - valueStart
    const keyLength = keyEnd - keyStart
    if (keyLength < 0 || keyLength > MAX_KEY_BYTES || length < 0 || length > MAX_VALUE_BYTES || (kind & 3) !== kind) {
      throw refused(keyLength, length, kind)
    }
    const high = this.#checkSeq(seq)
    let info = length | (kind << 28) | (high === words[H_SEQ_HIGH] ? 0 : WIDE)
    const leaf = insertKey(this.#arena, key, keyStart, keyEnd, versionWords(info))
    const newest = words[leaf]!
    let version = newest
    let older = 0
    if (newest === 0) {
      version = this.#arena.allocate(versionWords(info))
      words[H_ENTRIES] = words[H_ENTRIES]! + 1
    } else if (versionSeq(words, newest) > keepSeq) {
      older = olderVersion(words, newest)
      if (older !== 0) info |= OLDER
      const was = words[newest + 1]!
      const block = versionWords(info)
      const oldBlock = versionWords(was)
      if (block !== oldBlock) {
        version = this.#arena.allocate(block)
        this.#arena.release(newest, oldBlock)
      }
      if (versionKind(was) === KIND_DELETE) words[H_DELETES] = words[H_DELETES]! - 1
    } else {
      older = newest
      info |= OLDER
      version = this.#arena.allocate(versionWords(info))
      words[H_ENTRIES] = words[H_ENTRIES]! + 1
    }
    let at = version + 2
    words[version] = seq
    words[version + 1] = info
    if (older !== 0) words[at++] = older
    if (info < 0) words[at++] = high
    copyBytes(value, valueStart, valueEnd, this.#bytes, at << 2)
    words[leaf] = version
    if (kind === KIND_DELETE) words[H_DELETES] = words[H_DELETES]! + 1
    this.#recordSeq(seq, high)
  }

  /**
   * The newest version with a sequence number <= `snapshotSeq` into `hit`, with its value as a view. False, and `hit` cleared:
   * none. Ignores range tombstones.
   */
  get(key: Uint8Array, keyStart: number, keyEnd: number, snapshotSeq: number, hit: Hit): boolean {
    const words = this.#words
    const leaf = findLeaf(words, this.#bytes, key, keyStart, keyEnd)
    let version = leaf === 0 ? 0 : words[leaf]!
    while (version !== 0) {
      const seq = versionSeq(words, version)
      if (seq <= snapshotSeq) {
        const info = words[version + 1]!
        hit.seq = seq
        hit.kind = versionKind(info)
        hit.value = this.#bytes
        hit.valueStart = (version + versionHead(info)) << 2
        hit.valueEnd = hit.valueStart + versionLength(info)
        return true
      }
      version = olderVersion(words, version)
    }
    hit.clear()
    return false
  }

  /** A cursor over all versions. A write invalidates it. */
  cursor(): Cursor { return new MemtableCursor(this.#arena) }

  /**
   * Delete every key in [start, end) written before `seq`. Fits while `rangeBytes` <= `freeBytes`; else throws INVALID_ARGUMENT and
   * changes nothing.
   */
  deleteRange(start: Uint8Array, end: Uint8Array, seq: number): void {
    const high = this.#checkSeq(seq)
    writeRange(this.#arena, start, end, seq)
    this.#words[H_RANGES] = this.#words[H_RANGES]! + 1
    this.#recordSeq(seq, high)
  }

  /** Copies of the range tombstones, newest first. */
  ranges(): RangeTombstone[] { return readRanges(this.#arena) }

  /**
   * Among the `count` newest range tombstones: the largest seq <= `snapshotSeq` of one that covers the key, 0 if none. One by one,
   * without allocation.
   */
  coveringSeq(count: number, key: Uint8Array, keyStart: number, keyEnd: number, snapshotSeq: number): number {
    return newestCovering(this.#arena, count, key, keyStart, keyEnd, snapshotSeq)
  }

  /** High word of a valid next sequence number. */
  #checkSeq(seq: number): number {
    const words = this.#words
    if (!(seq >= 1 && seq <= Number.MAX_SAFE_INTEGER) || seq < readSeq(words, H_LARGEST)) {
      throw invalidArgument(
        `sequence number ${seq}: it must be 1 to 2^53 - 1 and not below the last one, ${this.largestSeq}. ` +
        'This is a bug in Spillway; please report it',
        { seq, largestSeq: this.largestSeq },
      )
    }
    const high = Math.floor(seq / TWO_32)
    // Harmless if the write is refused: it only decides which versions leave their high word out.
    if (words[H_SEQ_HIGH] === -1) words[H_SEQ_HIGH] = high
    return high
  }

  #recordSeq(seq: number, high: number): void {
    const words = this.#words
    words[H_LARGEST] = seq
    words[H_LARGEST + 1] = high
    if (words[H_SMALLEST] === 0 && words[H_SMALLEST + 1] === 0) {
      words[H_SMALLEST] = seq
      words[H_SMALLEST + 1] = high
    }
  }
}

function readSeq(words: Int32Array, at: number): number {
  return words[at + 1]! * TWO_32 + (words[at]! >>> 0)
}

function refused(keyLength: number, valueLength: number, kind: number): Error {
  return invalidArgument(
    `a memtable entry has a key of 0 to ${MAX_KEY_BYTES} bytes, a value of 0 to ${MAX_VALUE_BYTES} bytes and a kind of 0 to 3, ` +
    `not ${keyLength}, ${valueLength} and ${kind}`,
    { keyLength, valueLength, kind },
  )
}

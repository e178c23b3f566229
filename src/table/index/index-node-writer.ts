/**
 * Encodes one index node. Layout: FORMAT.md, Index node.
 *
 * Invariant: separators ascend; `hasRoom` keeps the node within its limit, but two children always fit, so that the tree narrows.
 */
import { copyBytes } from '../../base/bytes.ts'
import { KeyColumn } from '../block/key-column.ts'
import { BLOCK_INDEX } from '../format.ts'
import { writeU16, writeU32 } from '../little-endian.ts'
import { FLAG_WIDE, INDEX_HEADER_BYTES, WORD_BYTES, handleBytes, wordOf } from './index-node.ts'

const INITIAL_KEY_BYTES = 2048

export class IndexNodeWriter {
  readonly level: number
  last: Uint8Array = new Uint8Array(64)
  lastLength = 0
  readonly #maxCount: number
  readonly #limitBytes: number
  readonly #keys: KeyColumn
  /** Per child: offset, size, and those of its filter. */
  readonly #handles: Uint32Array

  constructor(level: number, maxCount: number, limitBytes: number) {
    this.level = level
    this.#maxCount = maxCount
    this.#limitBytes = limitBytes
    this.#keys = new KeyColumn(maxCount, INITIAL_KEY_BYTES)
    this.#handles = new Uint32Array(maxCount * 4)
  }

  /** Maximum allocation. */
  static bytesFor(maxCount: number, limitBytes: number, longestKeyBytes: number): number {
    const keys = Math.max(limitBytes, longestKeyBytes) + longestKeyBytes
    return maxCount * 16 + Math.max(64, longestKeyBytes) + KeyColumn.bytesFor(maxCount, INITIAL_KEY_BYTES, keys)
  }

  get bufferBytes(): number { return this.#keys.bufferBytes + this.#handles.byteLength + this.last.length }

  get count(): number { return this.#keys.count }
  get isFull(): boolean { return this.count >= this.#maxCount || this.encodedBytes >= this.#limitBytes }

  get encodedBytes(): number { return this.#bytesOf(this.count, this.#keys.prefixLength, this.#keys.suffixBytes) }

  hasRoom(separator: Uint8Array, start: number, end: number): boolean {
    if (this.count < 2) return true
    if (this.count >= this.#maxCount) return false
    const prefixLength = this.#keys.prefixWith(separator, start, end)
    return this.#bytesOf(this.count + 1, prefixLength, this.#keys.suffixBytesWith(end - start, prefixLength)) <= this.#limitBytes
  }

  add(
    separator: Uint8Array, start: number, end: number,
    offset: number, storedBytes: number, filterOffset: number, filterBytes: number,
  ): void {
    const at = this.count * 4
    this.#handles[at] = offset
    this.#handles[at + 1] = storedBytes
    this.#handles[at + 2] = filterOffset
    this.#handles[at + 3] = filterBytes
    this.#keys.add(separator, start, end, this.#keys.prefixWith(separator, start, end))
    if (end - start > this.last.length) this.last = new Uint8Array(end - start)
    copyBytes(separator, start, end, this.last, 0)
    this.lastLength = end - start
  }

  reset(): void {
    this.#keys.reset()
  }

  /** Returns the end. */
  encode(target: Uint8Array, at: number): number {
    const keys = this.#keys
    const count = keys.count
    const stride = handleBytes(this.level)
    const wide = keys.suffixBytes > 0xffff
    const wordsAt = at + INDEX_HEADER_BYTES + keys.prefixLength
    const handlesAt = wordsAt + count * WORD_BYTES
    const endsAt = handlesAt + count * stride
    const suffixesAt = endsAt + count * (wide ? 4 : 2)
    target[at] = BLOCK_INDEX
    target[at + 1] = this.level
    target[at + 2] = wide ? FLAG_WIDE : 0
    target[at + 3] = 0
    writeU32(target, at + 4, count)
    writeU32(target, at + 8, keys.prefixLength)
    keys.copyPrefix(target, at + INDEX_HEADER_BYTES)
    let end = suffixesAt
    for (let i = 0; i < count; i++) {
      const start = end
      end = keys.copySuffix(i, target, start)
      writeU32(target, wordsAt + i * WORD_BYTES, wordOf(target, start, end))
      writeU32(target, wordsAt + i * WORD_BYTES + 4, wordOf(target, start + 4, end))
      for (let field = 0; field * 4 < stride; field++) writeU32(target, handlesAt + i * stride + field * 4, this.#handles[i * 4 + field]!)
      if (wide) writeU32(target, endsAt + i * 4, end - suffixesAt)
      else writeU16(target, endsAt + i * 2, end - suffixesAt)
    }
    return end
  }

  #bytesOf(count: number, prefixLength: number, suffixBytes: number): number {
    return INDEX_HEADER_BYTES + prefixLength + suffixBytes + count * (WORD_BYTES + handleBytes(this.level) + 2)
  }
}

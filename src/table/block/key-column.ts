/**
 * Sorted keys for a block: their common prefix once, then suffixes.
 *
 * Invariant: the buffer holds the first key whole, and of other keys what follows the prefix common at that time (`skip`). The
 * prefix only shrinks, so suffixes can be reassembled.
 *
 * Cost: one copy of a suffix per key; 8 bytes per entry of capacity.
 */
import { copyBytes } from '../../base/bytes.ts'

/** Maximum excess of a grown buffer. */
const GROWTH_SLACK_BYTES = 16 * 1024

export class KeyColumn {
  count = 0
  prefixLength = 0
  keyBytes = 0
  #buffer: Uint8Array
  #used = 0
  #firstLength = 0
  readonly #skips: Uint32Array
  readonly #ends: Uint32Array

  constructor(maxEntries: number, initialBytes: number) {
    this.#buffer = new Uint8Array(initialBytes)
    this.#skips = new Uint32Array(maxEntries)
    this.#ends = new Uint32Array(maxEntries)
  }

  /** Maximum allocation when encoded keys take at most `encodedBytes`. */
  static bytesFor(maxEntries: number, initialBytes: number, encodedBytes: number): number {
    return maxEntries * 8 + Math.max(initialBytes, encodedBytes + GROWTH_SLACK_BYTES)
  }

  get bufferBytes(): number { return this.#buffer.length + this.#skips.byteLength + this.#ends.byteLength }

  reset(): void {
    this.count = 0
    this.prefixLength = 0
    this.keyBytes = 0
    this.#used = 0
  }

  /** Common prefix including this key. */
  prefixWith(key: Uint8Array, start: number, end: number): number {
    if (this.count === 0) return end - start
    const buffer = this.#buffer
    const limit = Math.min(this.prefixLength, end - start)
    let shared = 0
    while (shared < limit && buffer[shared] === key[start + shared]) shared++
    return shared
  }

  /** Suffix bytes including this key. */
  suffixBytesWith(keyLength: number, prefixLength: number): number {
    return this.keyBytes + keyLength - (this.count + 1) * prefixLength
  }

  get suffixBytes(): number { return this.keyBytes - this.count * this.prefixLength }

  /** `prefixLength`: from `prefixWith`. */
  add(key: Uint8Array, start: number, end: number, prefixLength: number): void {
    const skip = this.count === 0 ? 0 : prefixLength
    const needed = this.#used + (end - start) - skip
    if (needed > this.#buffer.length) this.#grow(needed)
    copyBytes(key, start + skip, end, this.#buffer, this.#used)
    if (this.count === 0) this.#firstLength = end - start
    this.#used = needed
    this.#skips[this.count] = skip
    this.#ends[this.count] = needed
    this.count++
    this.prefixLength = prefixLength
    this.keyBytes += end - start
  }

  copyPrefix(target: Uint8Array, at: number): void {
    copyBytes(this.#buffer, 0, this.prefixLength, target, at)
  }

  /** Returns the end. */
  copySuffix(i: number, target: Uint8Array, at: number): number {
    const buffer = this.#buffer
    const prefixLength = this.prefixLength
    if (i === 0) {
      copyBytes(buffer, prefixLength, this.#firstLength, target, at)
      return at + this.#firstLength - prefixLength
    }
    const skip = this.#skips[i]!
    if (skip > prefixLength) {
      copyBytes(buffer, prefixLength, skip, target, at)
      at += skip - prefixLength
    }
    const from = this.#ends[i - 1]!
    const to = this.#ends[i]!
    copyBytes(buffer, from, to, target, at)
    return at + to - from
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(needed + Math.min(needed, GROWTH_SLACK_BYTES))
    larger.set(this.#buffer.subarray(0, this.#used))
    this.#buffer = larger
  }
}

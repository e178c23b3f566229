/**
 * Collects key hashes of a partition and encodes its filter. Layout: FORMAT.md, Filter. A partition ends with a block, so only
 * hashes before the last `mark` belong to it.
 *
 * Cost: 4 bytes a key, at most maxKeys.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { encodeFilter } from './filter.ts'

export class FilterWriter {
  readonly #bitsPerKey: number
  readonly #hashes: Uint32Array
  #count = 0
  #marked = 0

  constructor(maxKeys: number, bitsPerKey: number) {
    this.#hashes = new Uint32Array(bitsPerKey === 0 ? 0 : maxKeys)
    this.#bitsPerKey = bitsPerKey
  }

  static bytesFor(maxKeys: number): number { return maxKeys * 4 }
  get bufferBytes(): number { return this.#hashes.byteLength }

  /** Since the last cut. */
  get count(): number { return this.#count }

  add(hash: number): void {
    if (this.#bitsPerKey > 0) this.#hashes[this.#count++] = hash
  }

  reset(): void {
    this.#count = 0
    this.#marked = 0
  }

  /** All keys so far are in written blocks. */
  mark(): void {
    this.#marked = this.#count
  }

  /** Encode the marked keys in region a and drop them; returns the end, `a` without filters. */
  encode(kernels: Kernels): number {
    if (this.#bitsPerKey === 0) return kernels.a
    const end = encodeFilter(kernels, this.#hashes, this.#marked, this.#bitsPerKey)
    this.#hashes.copyWithin(0, this.#marked, this.#count)
    this.#count -= this.#marked
    this.#marked = 0
    return end
  }
}

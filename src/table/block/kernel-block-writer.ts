/** Fills a data block in wasm memory, together with a kernel merge; same bytes as `data-block-writer.ts`. */
import type { MergeKernel } from '../../kernels/merge-kernel.ts'
import { DATA_HEADER_BYTES, ENTRY_OVERHEAD_BYTES } from './data-block-writer.ts'
import type { BlockWriter } from './data-block-writer.ts'

export class KernelBlockWriter implements BlockWriter {
  readonly merge: MergeKernel
  readonly #blockBytes: number

  constructor(merge: MergeKernel) {
    this.merge = merge
    this.#blockBytes = merge.blockBytes
  }

  get bufferBytes(): number { return 0 }
  get count(): number { return this.merge.count }

  get pendingBytes(): number {
    const { count, prefixLength, keyBytes, valueBytes } = this.merge
    return count === 0 ? 0 : DATA_HEADER_BYTES + prefixLength + keyBytes - count * prefixLength + valueBytes + count * ENTRY_OVERHEAD_BYTES
  }

  isOversize(keyLength: number, valueLength: number): boolean {
    return DATA_HEADER_BYTES + ENTRY_OVERHEAD_BYTES + keyLength + valueLength > this.#blockBytes
  }

  hasRoom(keyLength: number, valueLength: number, shared: number): boolean {
    const { count, keyBytes, valueBytes, prefixLength: before } = this.merge
    const prefixLength = Math.min(before, shared)
    return DATA_HEADER_BYTES + prefixLength + keyBytes + keyLength - (count + 1) * prefixLength +
      valueBytes + valueLength + (count + 1) * ENTRY_OVERHEAD_BYTES <= this.#blockBytes
  }

  add(
    key: Uint8Array, keyStart: number, keyEnd: number, shared: number, isFirst: boolean, hash: number,
    seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): void {
    // First key whole: the last key may belong to another table.
    this.merge.add(key, keyStart, keyEnd, this.merge.count === 0 ? 0 : shared, isFirst, hash, seq, kind, value, valueStart, valueEnd)
  }

  encode(_target: Uint8Array, at: number): number { return this.merge.encodeBlock(at) }
  reset(): void { this.merge.resetBlock() }
}

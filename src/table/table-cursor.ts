/**
 * Cursor over all entries of a table, forward and backward.
 *
 * Invariants
 * 1. The current block is copied into the cursor's window, so key and value stay valid while others load or evict.
 * 2. A window holds space for the block's longest key, then the block: keys are assembled there when the block has a common prefix.
 * 3. A key to seek must not be a view into this cursor's window.
 * 4. A block that fits the slot is there, with SLOT_ROOM_BYTES free after its longest key and at the end.
 * 5. After an error the cursor is invalid and may be positioned again.
 *
 * Cost: one copy per block; per entry one copy of the key's suffix, none without a common prefix.
 */
import { copyBytes } from '../base/bytes.ts'
import { EMPTY, type Cursor } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import { SLOT_ROOM_BYTES } from '../kernels/merge-kernel.ts'
import type { WindowPool } from '../memory/windows.ts'
import type { BlockSource } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { IndexPath } from './index/index-path.ts'
import type { IndexedTable } from './open-table.ts'

export class TableCursor implements Cursor {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly #table: IndexedTable
  readonly #seqOffset: number
  readonly #source: BlockSource
  readonly #windows: WindowPool
  readonly #path: IndexPath
  readonly #block = new DataBlock()
  readonly #slot: Uint8Array<ArrayBuffer> | undefined
  #window: Uint8Array<ArrayBuffer> | undefined
  /** Of the block in the window; -1 = none. */
  #windowOffset = -1
  #i = 0

  constructor(table: IndexedTable, source: BlockSource, windows: WindowPool, slot: Uint8Array<ArrayBuffer> | undefined) {
    this.#slot = slot
    this.#table = table
    this.#seqOffset = table.seqOffset
    this.#source = source
    this.#windows = windows
    this.#path = new IndexPath(table)
  }

  seekToFirst(): void {
    this.valid = false
    if (!this.#path.first(this.#source)) return
    this.#openBlock()
    this.#show(0)
  }

  seekToLast(): void {
    this.valid = false
    if (!this.#path.last(this.#source)) return
    this.#openBlock()
    this.#show(this.#block.count - 1)
  }

  seek(key: Uint8Array, start: number, end: number): void {
    this.valid = false
    if (!this.#path.seek(this.#source, key, start, end)) return
    this.#openBlock()
    const i = this.#block.lowerBound(key, start, end)
    if (i < this.#block.count) this.#show(i)
    else this.#nextBlock()
  }

  seekBefore(key: Uint8Array, start: number, end: number): void {
    this.valid = false
    if (!this.#path.seek(this.#source, key, start, end)) {
      this.seekToLast()
      return
    }
    this.#openBlock()
    const i = this.#block.lowerBound(key, start, end) - 1
    if (i >= 0) this.#show(i)
    else this.#prevBlock()
  }

  next(): void {
    if (!this.valid) return
    const i = this.#i + 1
    if (i < this.#block.count) this.#show(i)
    else this.#nextBlock()
  }

  prev(): void {
    if (!this.valid) return
    if (this.#i > 0) this.#show(this.#i - 1)
    else this.#prevBlock()
  }

  /** The current block is in the slot. */
  get isInSlot(): boolean { return this.#slot !== undefined && this.#window === this.#slot }
  blockAt = 0
  /** Index in the current block. */
  get position(): number { return this.#i }

  /** In the current block. */
  stepTo(position: number): void {
    this.#show(position)
  }

  skipBlock(): void {
    this.#nextBlock()
  }

  /** The cursor may be positioned again. */
  close(): void {
    this.valid = false
    this.key = this.value = EMPTY
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0
    this.#giveWindow()
  }

  #giveWindow(): void {
    const window = this.#window
    this.#window = undefined
    this.#windowOffset = -1
    if (window !== undefined && window !== this.#slot) this.#windows.give(window)
  }

  #nextBlock(): void {
    this.valid = false
    if (!this.#path.next(this.#source)) return
    this.#openBlock()
    this.#show(0)
  }

  #prevBlock(): void {
    this.valid = false
    if (!this.#path.prev(this.#source)) return
    this.#openBlock()
    this.#show(this.#block.count - 1)
  }

  #openBlock(): void {
    const source = this.#source
    const { blockOffset, blockBytes } = this.#path
    if (blockOffset === this.#windowOffset) return
    this.#windowOffset = -1
    this.#loadBlock(blockOffset, blockBytes)
    const slot = this.#slot
    const keyRoom = DataBlock.longestKey(source.bytes, source.start) + (slot === undefined ? 0 : SLOT_ROOM_BYTES)
    const needed = keyRoom + source.end - source.start
    if (slot !== undefined && needed + SLOT_ROOM_BYTES <= slot.length) {
      if (this.#window !== slot) this.#giveWindow()
      this.#window = slot
    } else if (this.#window === slot || !this.#fitsWindow(needed)) {
      this.close()
      this.#window = this.#windows.take(needed)
      // Allocating the window may have evicted the block.
      this.#loadBlock(blockOffset, blockBytes)
    }
    const window = this.#window!
    window.set(source.bytes.subarray(source.start, source.end), keyRoom)
    this.#block.open(window, keyRoom)
    copyBytes(window, this.#block.prefixAt, this.#block.prefixAt + this.#block.prefixLength, window, 0)
    this.key = window
    this.value = window
    this.blockAt = keyRoom
    this.#windowOffset = blockOffset
  }

  /** False also for a window much too large. */
  #fitsWindow(needed: number): boolean {
    const window = this.#window
    return window !== undefined && needed <= window.length && (window.length <= LARGE_WINDOW_BYTES || needed > window.length >>> 2)
  }

  #loadBlock(offset: number, storedBytes: number): void {
    const source = this.#source
    source.load(this.#table, offset, storedBytes)
    if (source.bytes[source.start] !== BLOCK_DATA) {
      throw new CorruptionError(this.#table.file.path, offset, 'no data block where the index says')
    }
  }

  #show(i: number): void {
    const block = this.#block
    const from = block.suffixStart(i)
    const to = block.suffixEnd(i)
    const prefixLength = block.prefixLength
    if (prefixLength === 0) {
      this.keyStart = from
      this.keyEnd = to
    } else {
      copyBytes(this.key, from, to, this.key, prefixLength)
      this.keyStart = 0
      this.keyEnd = prefixLength + to - from
    }
    this.seq = block.seq(i) + this.#seqOffset
    this.kind = block.kind(i)
    this.valueStart = block.valueStart(i)
    this.valueEnd = block.valueEnd(i)
    this.#i = i
    this.valid = true
  }
}

const LARGE_WINDOW_BYTES = 64 * 1024

/** The tables of one run as one cursor. Only the current table has a cursor open, so a run costs one window. */
import { EMPTY } from '../base/cursor.ts'
import type { Cursor } from '../base/cursor.ts'
import type { WindowPool } from '../memory/windows.ts'
import type { BlockSource } from '../table/block/block-source.ts'
import type { TableCursor } from '../table/table-cursor.ts'
import type { TableReader } from '../table/table-reader.ts'

export class RunCursor implements Cursor {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  /** With point entries, in key order. */
  readonly #tables: readonly TableReader[]
  readonly #source: BlockSource
  readonly #windows: WindowPool
  #at = -1
  #inner: TableCursor | undefined

  constructor(tables: readonly TableReader[], source: BlockSource, windows: WindowPool) {
    this.#tables = tables.filter(table => table.properties.hasEntries)
    this.#source = source
    this.#windows = windows
  }

  seekToFirst(): void {
    this.#open(0)
    this.#inner?.seekToFirst()
    this.#forward()
  }

  seekToLast(): void {
    this.#open(this.#tables.length - 1)
    this.#inner?.seekToLast()
    this.#backward()
  }

  seek(key: Uint8Array, start: number, end: number): void {
    this.#open(lowerTable(this.#tables, key, start, end))
    this.#inner?.seek(key, start, end)
    this.#forward()
  }

  seekBefore(key: Uint8Array, start: number, end: number): void {
    // The table that may hold the key also holds its predecessor, unless it begins there.
    const at = lowerTable(this.#tables, key, start, end)
    this.#open(Math.min(at, this.#tables.length - 1))
    this.#inner?.seekBefore(key, start, end)
    this.#backward()
  }

  next(): void {
    this.#inner!.next()
    this.#forward()
  }

  prev(): void {
    this.#inner!.prev()
    this.#backward()
  }

  close(): void {
    this.#inner?.close()
    this.#inner = undefined
    this.#at = -1
    this.valid = false
  }

  #open(at: number): void {
    if (at === this.#at && this.#inner !== undefined) return
    this.#inner?.close()
    this.#at = at
    this.#inner = this.#tables[at]?.cursor(this.#source, this.#windows)
  }

  #forward(): void {
    while (this.#inner !== undefined && !this.#inner.valid) {
      this.#open(this.#at + 1)
      this.#inner?.seekToFirst()
    }
    this.#take()
  }

  #backward(): void {
    while (this.#inner !== undefined && !this.#inner.valid) {
      this.#open(this.#at - 1)
      this.#inner?.seekToLast()
    }
    this.#take()
  }

  #take(): void {
    const inner = this.#inner
    if (inner === undefined) {
      this.valid = false
      return
    }
    this.valid = true
    this.key = inner.key
    this.keyStart = inner.keyStart
    this.keyEnd = inner.keyEnd
    this.seq = inner.seq
    this.kind = inner.kind
    this.value = inner.value
    this.valueStart = inner.valueStart
    this.valueEnd = inner.valueEnd
  }
}

/** First table whose last key is >= the given one, or tables.length. All have point entries. */
export function lowerTable(tables: readonly TableReader[], key: Uint8Array, start: number, end: number): number {
  let low = 0
  let high = tables.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (tables[middle]!.properties.compareLast(key, start, end) < 0) low = middle + 1
    else high = middle
  }
  return low
}

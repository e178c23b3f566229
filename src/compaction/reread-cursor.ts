/**
 * Any number of runs as one cursor in constant memory, for scans without memory for a window per run: every step seeks in each run
 * again.
 *
 * Invariants
 * 1. For each key it shows the newest version visible at `snapshotSeq`, deletions included.
 * 2. It holds two windows for the longest key met, at most 64 KiB each, and no value.
 * 3. A key to seek must not be a view into its own windows.
 *
 * Cost of a step: for each run an index descent and a data block, mostly from the file, and another lookup in runs that hold the
 * key.
 */
import { EMPTY, Hit } from '../base/cursor.ts'
import type { Cursor } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import type { WindowPool } from '../memory/windows.ts'
import type { BlockSource } from '../table/block/block-source.ts'
import { KeyProbe } from '../table/key-probe.ts'
import type { TableReader } from '../table/table-reader.ts'
import { lowerTable } from './run-cursor.ts'

const NOTHING = new Uint8Array(0)

export class SeekPerStepCursor implements Cursor {
  valid = false
  key: Uint8Array<ArrayBuffer> = NOTHING
  readonly keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  /** Valid from `loadValue` to the next load. */
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  /** Tables with point entries per run, in key order. */
  readonly #runs: readonly (readonly TableReader[])[]
  readonly #source: BlockSource
  readonly #windows: WindowPool
  readonly #snapshotSeq: number
  readonly #probe: KeyProbe
  readonly #hit = new Hit()
  /** Of this step. */
  #near: Uint8Array<ArrayBuffer> = NOTHING
  #nearLength = -1
  readonly #holders: TableReader[] = []
  /** Of the shown version. */
  #table: TableReader | undefined

  constructor(runs: readonly (readonly TableReader[])[], source: BlockSource, windows: WindowPool, snapshotSeq: number) {
    this.#runs = runs
    this.#source = source
    this.#windows = windows
    this.#snapshotSeq = snapshotSeq
    this.#probe = new KeyProbe(source)
  }

  seekToFirst(): void {
    this.#forward(EMPTY, 0, 0)
  }

  seekToLast(): void {
    this.#backward(undefined, 0, 0)
  }

  seek(key: Uint8Array, start: number, end: number): void {
    this.#forward(key, start, end)
  }

  seekBefore(key: Uint8Array, start: number, end: number): void {
    this.#backward(key, start, end)
  }

  next(): void {
    if (!this.valid) return
    this.#forward(this.key, 0, this.#successorEnd())
  }

  prev(): void {
    if (this.valid) this.#backward(this.key, 0, this.keyEnd)
  }

  loadValue(): void {
    const hit = this.#hit
    this.#table!.get(this.#source, this.key, 0, this.keyEnd, hashKey(this.key, 0, this.keyEnd), this.#snapshotSeq, hit)
    this.value = hit.value
    this.valueStart = hit.valueStart
    this.valueEnd = hit.valueEnd
  }

  close(): void {
    this.valid = false
    for (const window of [this.key, this.#near]) if (window.length > 0) this.#windows.give(window)
    this.key = this.#near = NOTHING
    this.value = EMPTY
    this.keyEnd = this.valueStart = this.valueEnd = 0
  }

  #forward(key: Uint8Array, start: number, end: number): void {
    this.valid = false
    for (;;) {
      this.#nearLength = -1
      this.#holders.length = 0
      for (const tables of this.#runs) {
        for (let t = lowerTable(tables, key, start, end); t < tables.length; t++) {
          let found = this.#probe.atOrAfter(tables[t]!, key, start, end)
          while (found && this.#consider(tables[t]!, 1)) found = this.#probe.atOrAfter(tables[t]!, key, start, end)
          if (found) break
        }
      }
      if (!this.#show() || this.valid) return
      key = this.key
      start = 0
      end = this.#successorEnd()
    }
  }

  #backward(key: Uint8Array | undefined, start: number, end: number): void {
    this.valid = false
    for (;;) {
      this.#nearLength = -1
      this.#holders.length = 0
      for (const tables of this.#runs) {
        // The table that may hold the key also holds its predecessor, unless it begins there.
        const from = key === undefined ? tables.length : lowerTable(tables, key, start, end)
        for (let t = Math.min(from, tables.length - 1); t >= 0; t--) {
          let found = this.#probe.before(tables[t]!, key, start, end)
          while (found && this.#consider(tables[t]!, -1)) found = this.#probe.before(tables[t]!, key, start, end)
          if (found) break
        }
      }
      if (!this.#show() || this.valid) return
      key = this.key
      start = 0
      end = this.keyEnd
    }
  }

  /** Appends a zero byte; the window has space. */
  #successorEnd(): number {
    this.key[this.keyEnd] = 0
    return this.keyEnd + 1
  }

  /** Keep a run's next key if it is the nearest. True: probe again, because allocating may have evicted the block. */
  #consider(table: TableReader, direction: number): boolean {
    const probe = this.#probe
    const order = this.#nearLength < 0 ? -1 : probe.compare(this.#near, this.#nearLength) * direction
    if (order === 0) this.#holders.push(table)
    if (order >= 0) return false
    this.#holders.length = 0
    this.#nearLength = -1
    if (probe.keyLength + 1 > this.#near.length) {
      // Released first: the reserve cannot hold both.
      if (this.#near.length > 0) this.#windows.give(this.#near)
      this.#near = NOTHING
      this.#near = this.#windows.take(probe.keyLength + 1)
      return true
    }
    probe.copyTo(this.#near)
    this.#nearLength = probe.keyLength
    this.#holders.push(table)
    return false
  }

  /** Show the nearest key, if a version is visible. False: there is no key. */
  #show(): boolean {
    if (this.#nearLength < 0) return false
    const near = this.#near
    this.#near = this.key
    this.key = near
    this.keyEnd = this.#nearLength
    const hit = this.#hit
    const hash = hashKey(near, 0, this.keyEnd)
    this.seq = 0
    for (const table of this.#holders) {
      if (!table.get(this.#source, near, 0, this.keyEnd, hash, this.#snapshotSeq, hit) || hit.seq <= this.seq) continue
      this.seq = hit.seq
      this.kind = hit.kind
      this.#table = table
    }
    this.valid = this.seq > 0
    return true
  }
}

/** Entries as plain objects in a sorted array, to compare tables with. */
import { Buffer } from 'node:buffer'
import { compareKeys } from '../../base/bytes.ts'
import { EMPTY, KIND_PUT, type Cursor, type RangeTombstone } from '../../base/cursor.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { BlockCache } from '../../cache/block-cache.ts'
import { Budget } from '../../memory/budget.ts'
import { WindowPool } from '../../memory/windows.ts'
import { CachedBlocks } from '../block/block-source.ts'
import { KERNEL_REGION_BYTES } from '../format.ts'
import type { TableProperties } from '../properties.ts'
import { TableReader } from '../table-reader.ts'
import { TableWriter, type TableWriterOptions } from '../table-writer.ts'
import { MemoryFile } from './memory-file.ts'

export interface Entry {
  key: Uint8Array
  seq: number
  kind: number
  value: Uint8Array
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'))
}

export function put(key: string | Uint8Array, seq: number, value: string | Uint8Array = 'v', kind: number = KIND_PUT): Entry {
  return { key: typeof key === 'string' ? bytesOf(key) : key, seq, kind, value: typeof value === 'string' ? bytesOf(value) : value }
}

/** In Cursor order, without duplicates of (key, sequence number). */
export function sortEntries(entries: readonly Entry[]): Entry[] {
  const sorted = [...entries].sort((a, b) => compareKeys(a.key, b.key) || b.seq - a.seq)
  return sorted.filter((entry, i) => i === 0 || compareKeys(entry.key, sorted[i - 1]!.key) !== 0 || entry.seq !== sorted[i - 1]!.seq)
}

/** A cursor set to one entry at a time. */
export class EntryCursor implements Cursor {
  valid = true
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0

  at(entry: Entry): this {
    this.key = entry.key
    this.keyEnd = entry.key.length
    this.seq = entry.seq
    this.kind = entry.kind
    this.value = entry.value
    this.valueEnd = entry.value.length
    return this
  }

  seekToFirst(): void {}
  seekToLast(): void {}
  seek(): void {}
  seekBefore(): void {}
  next(): void {}
  prev(): void {}
}

let shared: Kernels | undefined
/** Shared by all tests of a file: each instance holds wasm memory until it is collected. */
export function testKernels(): Kernels {
  shared ??= new Kernels(KERNEL_REGION_BYTES)
  return shared
}

export interface Written {
  file: MemoryFile
  properties: TableProperties
}

export function writeTable(
  entries: readonly Entry[], options: Partial<TableWriterOptions> = {}, ranges: readonly RangeTombstone[] = [],
): Written {
  const file = new MemoryFile()
  const writer = new TableWriter(file, { fileNumber: 7, kernels: testKernels(), compression: 'lz4', ...options })
  const cursor = new EntryCursor()
  for (const entry of entries) writer.add(cursor.at(entry))
  for (const range of ranges) writer.addRange(range)
  return { file, properties: writer.finish() }
}

/** Properties of an open table in the writer's form: absent ones are left out. */
export function copyOf(properties: TableProperties): TableProperties {
  const { fileNumber, fileBytes, entries, deletes, rangeDeletes, blocks, rawKeyBytes, rawValueBytes, minSeq, maxSeq, valueFiles } = properties
  const { firstKey, lastKey, rangeStart, rangeEnd } = properties
  return {
    fileNumber, fileBytes, entries, deletes, rangeDeletes, blocks, rawKeyBytes, rawValueBytes, minSeq, maxSeq, valueFiles,
    ...(firstKey === undefined ? {} : { firstKey: firstKey.slice(), lastKey: lastKey!.slice() }),
    ...(rangeStart === undefined ? {} : { rangeStart: rangeStart.slice(), rangeEnd: rangeEnd!.slice() }),
  }
}

export interface Opened {
  reader: TableReader
  source: CachedBlocks
  cache: BlockCache
  windows: WindowPool
  budget: Budget
  close(): void
}

export function openTable(file: MemoryFile, fileNumber = 7, budgetSize = '8 MiB'): Opened {
  const budget = new Budget(budgetSize)
  const cache = new BlockCache(budget.account('cache', 'what is free'))
  const windows = new WindowPool(budget.account('windows', 'open cursors'), 64 * 1024)
  try {
    const reader = TableReader.open(file, fileNumber, testKernels())
    return {
      reader, cache, windows, budget, source: new CachedBlocks(cache, testKernels()),
      close() {
        cache.close()
        windows.close()
      },
    }
  } catch (error) {
    cache.close()
    windows.close()
    throw error
  }
}

export function entryAt(cursor: Cursor): Entry {
  return {
    key: cursor.key.slice(cursor.keyStart, cursor.keyEnd), seq: cursor.seq, kind: cursor.kind,
    value: cursor.value.slice(cursor.valueStart, cursor.valueEnd),
  }
}

/** Cheap to compare and to print. */
export function textOf(entry: Entry): string {
  return `${Buffer.from(entry.key).toString('latin1')}@${entry.seq}/${entry.kind}=${Buffer.from(entry.value).toString('latin1')}`
}

/** 32-bit numbers (mulberry32). */
export function randomNumbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** Everything a command touches. Tests pass fakes. */
import type { BatchOperation, IteratorOptions, OpenOptions, RangeOptions, WriteOptions } from '../store/api/options.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { StoreStats, VerifyReport } from '../store/api/reports.ts'

/** The store, with bytes as keys and values. */
export interface Store {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  put(key: Uint8Array, value: Uint8Array, options?: WriteOptions): Promise<void>
  batch(operations: BatchOperation<Uint8Array, Uint8Array>[], options?: WriteOptions): Promise<void>
  deleteRange(range: RangeOptions<Uint8Array>): Promise<void>
  iterator(options: IteratorOptions<Uint8Array>): StoreIterator
  count(range: RangeOptions<Uint8Array>): Promise<number>
  approximateSize(range: RangeOptions<Uint8Array>): Promise<number>
  flush(): Promise<void>
  compact(range?: RangeOptions<Uint8Array>): Promise<void>
  memory(): MemoryReport
  stats(): StoreStats
  close(): Promise<void>
}

export interface StoreIterator {
  /** Up to `count` entries; none = the end. */
  nextv(count: number): Promise<[Uint8Array, Uint8Array][]>
  close(): Promise<void>
}

export type StoreOptions = Pick<OpenOptions, 'budget' | 'durability' | 'compaction' | 'createIfMissing' | 'readOnly'>

export interface InputStream extends AsyncIterable<Uint8Array> {
  destroy(): void
}

export interface OutputStream {
  write(chunk: Uint8Array | string, done?: (error?: Error | null) => void): boolean
  on(event: 'error', listener: (error: Error) => void): unknown
  once(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'error' | 'drain' | 'close', listener: (...args: any[]) => void): unknown
  isTTY?: boolean
  columns?: number
}

export interface Io {
  stdin: InputStream
  /** Bytes left on stdin if it is a regular file. */
  stdinBytes(): number | undefined
  stdout: OutputStream
  stderr: OutputStream
  env: Record<string, string | undefined>
  open(directory: string, options: StoreOptions): Promise<Store>
  /** The store may be too damaged to open. */
  verify(directory: string, budgetBytes: number): Promise<VerifyReport>
  /** Ctrl-C or a termination request; the reason is the exit code. */
  signal: AbortSignal
  /** For a command that cannot stop. The store recovers as from a crash. */
  exit(code: number): void
}

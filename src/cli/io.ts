/** What a command touches: streams, the store, the signal that says stop. Tests give fakes. */
import type { BatchOperation, IteratorOptions, OpenOptions, RangeOptions, WriteOptions } from '../store/api/options.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { StoreStats, VerifyReport } from '../store/api/reports.ts'

/** The part of the store that commands use, with bytes as keys and values. */
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
  /** Stop reading; the iteration ends or throws. */
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
  /** Bytes waiting on stdin if it is a regular file. */
  stdinBytes(): number | undefined
  stdout: OutputStream
  stderr: OutputStream
  env: Record<string, string | undefined>
  /** Open the store in a directory; keys and values as bytes. */
  open(directory: string, options: StoreOptions): Promise<Store>
  /** Check every file of the store in a directory, which need not be fit to be opened. */
  verify(directory: string, budgetBytes: number): Promise<VerifyReport>
  /** Aborted by Ctrl-C or a request to terminate; the reason is the exit code. */
  signal: AbortSignal
  /** End the process at once, for a command that cannot stop by itself. The store recovers from that as from any crash. */
  exit(code: number): void
}

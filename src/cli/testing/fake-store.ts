/** An in-memory store and recording streams, to test commands without files. */
import { compareKeys } from '../../base/bytes.ts'
import type { BatchOperation } from '../../store/api/options.ts'
import type { MemoryReport } from '../../memory/budget.ts'
import type { StoreStats, VerifyReport } from '../../store/api/reports.ts'
import type { Io, OutputStream, Store, StoreOptions } from '../io.ts'

type Entry = [Uint8Array, Uint8Array]
type Range = { gte?: Uint8Array, lt?: Uint8Array, reverse?: boolean, limit?: number }

export class FakeStore implements Store {
  entries: Entry[] = []
  options: StoreOptions = {}
  /** Operations per batch. */
  batches: number[] = []
  closed = 0
  flushed = 0
  compacted: unknown[] = []
  verifyReport: VerifyReport = { manifests: 1, logs: 2, tables: 1, valueFiles: 0, sound: 4, entries: 2, blocks: 1, operations: 3, bytes: 300, errors: [], notes: [] }
  /** Called in each batch; may throw. */
  onBatch: () => void = () => {}

  /** In order. */
  get texts(): [string, string][] {
    return this.entries.map(([key, value]) => [Buffer.from(key).toString(), Buffer.from(value).toString()])
  }

  /** Entries as latin1 strings. */
  get latin1(): [string, string][] {
    return this.entries.map(([key, value]) => [Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1')])
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.entries.find(([other]) => compareKeys(other, key) === 0)?.[1]
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.batch([{ type: 'put', key, value }])
  }

  async batch(operations: BatchOperation<Uint8Array, Uint8Array>[]): Promise<void> {
    this.onBatch()
    this.batches.push(operations.length)
    const map = new Map(this.entries.map(entry => [Buffer.from(entry[0]).toString('hex'), entry]))
    for (const operation of operations) {
      const name = Buffer.from(operation.key).toString('hex')
      if (operation.type === 'del') map.delete(name)
      else map.set(name, [operation.key.slice(), operation.value.slice()])
    }
    this.entries = [...map.values()].sort(([a], [b]) => compareKeys(a, b))
  }

  async deleteRange(range: Range): Promise<void> {
    const doomed = new Set(this.#within(range))
    this.entries = this.entries.filter(entry => !doomed.has(entry))
  }

  iterator(range: Range) {
    const left = this.#within(range)
    return {
      async nextv(count: number) { return left.splice(0, count) },
      async close() {},
    }
  }

  async count(range: Range): Promise<number> { return this.#within(range).length }
  async approximateSize(range: Range): Promise<number> { return this.#within(range).length * 10 }
  async flush(): Promise<void> { this.flushed++ }
  async compact(range?: unknown): Promise<void> { this.compacted.push(range) }
  async close(): Promise<void> { this.closed++ }

  memory(): MemoryReport {
    return {
      budgetBytes: 1 << 20, usedBytes: 1 << 18, highWaterBytes: 1 << 19, denied: 0,
      accounts: { memtable: { bytes: 1 << 18, highWaterBytes: 1 << 19, bound: 'two memtables' } },
    }
  }

  stats(): StoreStats {
    const none = { count: 0, totalMs: 0, longestMs: 0 }
    return {
      epoch: 1, manifest: 2, lastSeq: 3, durability: 'os', strategy: { name: 'tiered', parameters: { sizeRatio: 100 } },
      runs: [{ id: 1, level: 0, tables: 1, bytes: 2048, entries: 20, deletes: 1 }], tables: 1, tableBytes: 2048, valueFiles: 0,
      memtables: [{ entries: 1, bytes: 10, capacityBytes: 100, sealed: false }],
      written: { userBytes: 100, operations: 3, logBytes: 120, flushBytes: 80, mergeBytes: 40, valueFileBytes: 0, manifestBytes: 10, amplification: 2.5 },
      flushes: 1, merges: 0, backgroundErrors: 0, removals: { failed: 0, left: 0 },
      stalls: { ...none, byCause: { flush: none, merge: none, memory: none, runs: none, debt: none, work: none }, verdict: { delayMs: 0, stop: false }, recent: [] },
      waiting: { writes: 0, bytes: 0 }, unflushedBytes: 10,
      governor: {
        memtable: { sizeBytes: 1 << 16, rateBytesPerSecond: 1000, pressureKnown: false }, credits: { limitBytes: 1 << 18, usedBytes: 1 << 16, waiting: 0 },
        tuner: { enabled: false, writeBytes: 1 << 18, cacheBytes: 8192, standing: 'no sample yet', decisions: [] }, host: { parts: {} },
      },
      cache: { hits: 3, misses: 1, blocks: 2, bytes: 8192, compressed: { bytes: 0, blocks: 0, hits: 0, reads: 0, share: 0, ratio: 1, readUs: 0, loadUs: 0 }, rows: { lookups: 0, hits: 0, rows: 0, bytes: 0, share: 0 } },
      transactions: { open: 0, bytes: 0, tableBytes: 0, committed: 0, conflicts: 0 },
      snapshots: { open: 0 }, iterators: 0,
      recovery: { logSegments: 1, operations: 3, droppedBytes: 0, orphansRemoved: 0, elapsedMs: 4 }, background: 'inline',
    }
  }

  #within({ gte, lt, reverse = false, limit = Infinity }: Range): Entry[] {
    const found = this.entries.filter(([key]) => (gte === undefined || compareKeys(key, gte) >= 0) && (lt === undefined || compareKeys(key, lt) < 0))
    return (reverse ? found.reverse() : found).slice(0, limit === -1 ? undefined : limit)
  }
}

export class FakeOutput implements OutputStream {
  readonly chunks: Buffer[] = []
  isTTY = false
  columns = 80
  /** After this many writes, fail like a closed pipe. */
  breaksAfter = Infinity
  readonly #errorListeners = new Set<(error: Error) => void>()

  get text(): string { return Buffer.concat(this.chunks).toString() }

  write(chunk: Uint8Array | string, done?: (error?: Error | null) => void): boolean {
    if (this.chunks.length >= this.breaksAfter) {
      const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
      for (const listener of this.#errorListeners) listener(error)
      done?.(error)
      return false
    }
    this.chunks.push(Buffer.from(chunk as string))
    queueMicrotask(() => done?.())
    return true
  }

  on(_event: 'error', listener: (error: Error) => void): this {
    this.#errorListeners.add(listener)
    return this
  }

  once(): this { return this }

  off(_event: string, listener: (...args: any[]) => void): this {
    this.#errorListeners.delete(listener)
    return this
  }
}

export interface FakeIo extends Io {
  stdout: FakeOutput
  stderr: FakeOutput
  store: FakeStore
  stop: AbortController
}

/** `stdin`: chunks, or one text. */
export function fakeIo(store: FakeStore, stdin: string | Uint8Array[] = ''): FakeIo {
  const stop = new AbortController()
  const chunks = typeof stdin === 'string' ? [Buffer.from(stdin)] : stdin
  return {
    stdin: { async *[Symbol.asyncIterator]() { yield* chunks }, destroy() {} },
    stdinBytes: () => undefined,
    stdout: new FakeOutput(),
    stderr: new FakeOutput(),
    env: {},
    async open(_directory, options) {
      store.options = options
      return store
    },
    async verify(_directory, budget) {
      store.options = { budget }
      return store.verifyReport
    },
    signal: stop.signal,
    exit() {},
    store,
    stop,
  }
}

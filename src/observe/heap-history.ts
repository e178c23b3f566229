/**
 * V8's spaces and the process's memory over time.
 *
 * Account: `profiler`. Cost: 30 us a sample.
 */
import type { Runtime } from '../host/runtime.ts'
import type { Budget, Lease } from '../memory/budget.ts'
import { SampleRing } from './sample-ring.ts'

/** Per space: used and physical bytes; V8 has 9 to 13. */
const MAX_SPACES = 16
const PROCESS = ['rssBytes', 'heapUsedBytes', 'heapTotalBytes', 'heapLimitBytes', 'externalBytes', 'arrayBufferBytes', 'mallocedBytes'] as const
const COLUMNS = 2 * MAX_SPACES + PROCESS.length

export interface SpaceTrend {
  /** V8's name, such as new_space or old_space. */
  space: string
  usedBytes: number
  /** Memory really used for the space. */
  physicalBytes: number
  growthPerSecond: number
  /** Bytes allocated a second, at least: what was allocated and collected between two samples is not seen. */
  allocatedPerSecond: number
  /** Bytes freed a second, at least. */
  freedPerSecond: number
}

export interface ProcessTrend {
  rssBytes: number
  maximumRssBytes: number
  rssGrowthPerSecond: number
  heapUsedBytes: number
  heapTotalBytes: number
  heapLimitBytes: number
  heapGrowthPerSecond: number
  /** Outside the heap, held by objects on it. Node 26 does not count wasm memory, Node 20 to 26 no SharedArrayBuffer that can grow. */
  externalBytes: number
  arrayBufferBytes: number
  mallocedBytes: number
}

export class HeapHistory {
  readonly #runtime: Runtime
  readonly #ring: SampleRing
  readonly #lease: Lease
  readonly #process: number[]

  constructor(runtime: Runtime, rows: number, maxBytes: number, budget: Budget) {
    this.#runtime = runtime
    const most = Math.min(rows, Math.floor(maxBytes / SampleRing.bytesOf(1, COLUMNS)))
    this.#lease = budget.account('profiler').lease(SampleRing.bytesOf(most, COLUMNS))
    this.#ring = new SampleRing(most, COLUMNS)
    this.#process = PROCESS.map(name => this.#ring.column(name))
  }

  get rows(): number { return this.#ring.rows }

  sample(nowMs: number): void {
    const ring = this.#ring
    ring.begin(nowMs)
    const memory = this.#runtime.memory()
    for (const [i, name] of PROCESS.entries()) ring.set(this.#process[i]!, memory[name])
    for (const { name, usedBytes, physicalBytes } of this.#runtime.heapSpaces()) {
      ring.set(ring.column(`=${name}`), usedBytes)
      ring.set(ring.column(`#${name}`), physicalBytes)
    }
  }

  spaces(windowMs: number): SpaceTrend[] {
    const ring = this.#ring
    const from = ring.rowSince(windowMs)
    return [...ring.names].filter(name => name.startsWith('=')).map(name => {
      const column = ring.column(name)
      const { value, growthPerSecond } = ring.trend(column, from)
      const { upPerSecond, downPerSecond } = ring.steps(column, from)
      return {
        space: name.slice(1), usedBytes: value, physicalBytes: ring.trend(ring.column(`#${name.slice(1)}`), from).value,
        growthPerSecond, allocatedPerSecond: upPerSecond, freedPerSecond: downPerSecond,
      }
    }).sort((a, b) => b.physicalBytes - a.physicalBytes)
  }

  process(windowMs: number): ProcessTrend {
    const from = this.#ring.rowSince(windowMs)
    const [rss, used, total, limit, external, buffers, malloced] = this.#process.map(column => this.#ring.trend(column, from))
    return {
      rssBytes: rss!.value, maximumRssBytes: rss!.maximum, rssGrowthPerSecond: rss!.growthPerSecond,
      heapUsedBytes: used!.value, heapTotalBytes: total!.value, heapLimitBytes: limit!.value, heapGrowthPerSecond: used!.growthPerSecond,
      externalBytes: external!.value, arrayBufferBytes: buffers!.value, mallocedBytes: malloced!.value,
    }
  }

  close(): void { this.#lease.release() }
}

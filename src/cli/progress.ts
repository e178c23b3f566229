/**
 * Progress line of a long job: redrawn in place on a terminal, else a plain line every few seconds.
 *
 * Cost: `update` reads the clock and returns unless a line is due; check `due` first if the figures are costly.
 */
import { formatSize } from '../base/sizes.ts'
import { formatCount, formatDecimalSize, formatDuration, textBar } from './table.ts'

/** For example process.stderr. */
export interface ProgressStream {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

export interface ProgressOptions {
  /** Default process.stderr. */
  stream?: ProgressStream
  /** Printed first, e.g. "Importing". Default none. */
  label?: string
  /** Noun of the count. Default "rows". */
  unit?: string
  /** Redraw in place. Default: whether the stream is a terminal. */
  inPlace?: boolean
  /** Default 100 in place, else 5000. */
  intervalMs?: number
  /** Monotonic clock; for tests. */
  nowMs?: () => number
}

export interface ProgressUpdate {
  /** Rows, names, keys so far. */
  count: number
  /** Bytes so far; gives MB/s. */
  bytes?: number
  /** Progress and total in one measure; gives percent and remaining time. */
  done?: number
  total?: number | undefined
  /** For example `db.memory()`. */
  memory?: { usedBytes: number, budgetBytes: number }
  /** Printed last. */
  note?: string
}

/** Window of the rates. */
const WINDOW_MS = 5000
const BAR_COLUMNS = 20

export class ProgressLine {
  readonly #stream: ProgressStream
  readonly #label: string
  readonly #unit: string
  readonly #inPlace: boolean
  readonly #intervalMs: number
  readonly #nowMs: () => number
  readonly #startMs: number
  #nextMs: number
  #last: ProgressUpdate | undefined
  #drawn = false
  /** Oldest first. */
  readonly #samples: { ms: number, count: number, bytes: number, done: number }[] = []

  constructor(options: ProgressOptions = {}) {
    this.#stream = options.stream ?? process.stderr
    this.#label = options.label ?? ''
    this.#unit = options.unit ?? 'rows'
    this.#inPlace = options.inPlace ?? this.#stream.isTTY === true
    this.#intervalMs = options.intervalMs ?? (this.#inPlace ? 100 : 5000)
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#startMs = this.#nowMs()
    this.#nextMs = this.#startMs + this.#intervalMs
    this.#samples.push({ ms: this.#startMs, count: 0, bytes: 0, done: 0 })
  }

  /** The next `update` would draw. */
  get due(): boolean { return this.#nowMs() >= this.#nextMs }

  /** Since the start. */
  get seconds(): number { return (this.#nowMs() - this.#startMs) / 1000 }

  update(update: ProgressUpdate): void {
    this.#last = update
    const now = this.#nowMs()
    if (now < this.#nextMs) return
    this.#nextMs = now + this.#intervalMs
    this.#draw(update, now)
  }

  /** Draw the last figures again and end the line; `clear` removes it on a terminal. */
  finish(clear = false): void {
    if (this.#inPlace) {
      if (clear) {
        if (this.#drawn) this.#stream.write('\r\x1b[K')
      } else if (this.#last !== undefined) {
        this.#draw(this.#last, this.#nowMs())
        this.#stream.write('\n')
      }
    } else if (this.#last !== undefined && !clear) {
      this.#draw(this.#last, this.#nowMs())
    }
    this.#last = undefined
    this.#drawn = false
  }

  #draw(update: ProgressUpdate, now: number): void {
    const { count, bytes = 0, done = 0 } = update
    const samples = this.#samples
    samples.push({ ms: now, count, bytes, done })
    while (samples.length > 2 && samples[1]!.ms < now - WINDOW_MS) samples.shift()
    const line = this.#line(update, now, samples[0]!)
    this.#drawn = true
    this.#stream.write(this.#inPlace ? `\r${line}\x1b[K` : `${line}\n`)
  }

  /** Parts in order of importance; the last ones are left out if they do not fit. */
  #line(update: ProgressUpdate, now: number, from: { ms: number, count: number, bytes: number, done: number }): string {
    const { count, bytes, done, total, memory, note } = update
    const seconds = Math.max(0.001, (now - from.ms) / 1000)
    const parts: string[] = []
    if (done !== undefined && total !== undefined && total > 0) {
      const fraction = Math.min(1, done / total)
      parts.push(`${this.#inPlace ? `[${textBar(fraction, BAR_COLUMNS)}] ` : ''}${(fraction * 100).toFixed(0).padStart(3)}%`)
    }
    parts.push(`${formatCount(count)} ${this.#unit}`, `${formatCount((count - from.count) / seconds)} ${this.#unit}/s`)
    if (bytes !== undefined) parts.push(`${formatDecimalSize((bytes - from.bytes) / seconds)}/s`)
    if (done !== undefined && total !== undefined && done < total) {
      const rate = (done - from.done) / seconds
      parts.push(`ETA ${formatDuration(rate > 0 ? (total - done) / rate : Infinity)}`)
    }
    if (memory !== undefined) parts.push(`memory ${formatSize(memory.usedBytes)} of ${formatSize(memory.budgetBytes)}`)
    if (note !== undefined) parts.push(note)

    const room = this.#inPlace ? (this.#stream.columns ?? 80) - 1 : Infinity
    let line = this.#label
    for (const part of parts) {
      const longer = line === '' ? part : `${line}  ${part}`
      if (longer.length > room) break
      line = longer
    }
    return line
  }
}

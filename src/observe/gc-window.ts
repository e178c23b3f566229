/**
 * Pauses of the recent past, in a ring of fixed size, and totals since the start.
 *
 * Invariants
 * 1. A collection counts once: an incremental one by its end, not by its start. Every pause counts for time.
 * 2. The window is the last `windowMs`, less while it has not been observed that long or the ring holds less.
 *
 * Account: `profiler`, 24 bytes a pause. Cost: constant for an event; figures sort the pauses of the window.
 */
import type { CollectionEvent, CollectionKind } from '../host/runtime.ts'

const KINDS: readonly CollectionKind[] = ['young', 'old', 'start', 'weak']
const FORCED = 8
const EXTERNAL = 16
const KIND = 7
const FIELDS = 3

export interface PauseFigures {
  count: number
  perMinute: number
  /** Milliseconds. */
  totalMs: number
  meanMs: number
  p95Ms: number
  maxMs: number
}

export interface WindowFigures {
  /** Milliseconds these figures are over. */
  windowMs: number
  /** Collections of the young generation. */
  young: PauseFigures
  /** Full collections. */
  old: PauseFigures
  /** Every pause, also the starts of incremental collections and weak callbacks. */
  all: PauseFigures
  /** Collections the program asked for, or a last resort before memory runs out. */
  forced: number
  /** Collections because of memory outside the heap. V8 says so from Node 24 on. */
  external: number
}

export class GcWindow {
  /** Since the start. */
  readonly counts = { young: 0, old: 0 }
  totalPauseMs = 0
  readonly #startMs: number
  readonly #windowMs: number
  readonly #size: number
  readonly #events: Float64Array
  #written = 0

  constructor(startMs: number, windowMs: number, size: number) {
    this.#startMs = startMs
    this.#windowMs = windowMs
    this.#size = size
    this.#events = new Float64Array(size * FIELDS)
  }

  static bytesOf(size: number): number { return size * FIELDS * 8 }

  add({ kind, startMs, durationMs, isForced, isExternal }: CollectionEvent): void {
    const at = this.#written++ % this.#size * FIELDS
    this.#events[at] = startMs
    this.#events[at + 1] = durationMs
    this.#events[at + 2] = KINDS.indexOf(kind) + (isForced ? FORCED : 0) + (isExternal ? EXTERNAL : 0)
    this.totalPauseMs += durationMs
    if (kind === 'young' || kind === 'old') this.counts[kind]++
  }

  /** Time in young collections by time, since `sinceMs`, as far as the ring holds it. */
  youngShare(sinceMs: number, nowMs: number): number {
    let totalMs = 0
    for (let i = this.#written - 1; i >= Math.max(0, this.#written - this.#size); i--) {
      const at = i % this.#size * FIELDS
      if (this.#events[at]! < sinceMs) break
      if ((this.#events[at + 2]! & KIND) === 0) totalMs += this.#events[at + 1]!
    }
    return nowMs <= sinceMs ? 0 : totalMs / (nowMs - sinceMs)
  }

  figures(nowMs: number): WindowFigures {
    let sinceMs = Math.max(this.#startMs, nowMs - this.#windowMs)
    // The ring has forgotten what was before its oldest pause.
    if (this.#written > this.#size) sinceMs = Math.max(sinceMs, this.#events[this.#written % this.#size * FIELDS]!)
    const windowMs = Math.max(0, nowMs - sinceMs)
    const durations: Record<CollectionKind, number[]> = { young: [], old: [], start: [], weak: [] }
    let forced = 0
    let external = 0
    for (let i = Math.max(0, this.#written - this.#size); i < this.#written; i++) {
      const at = i % this.#size * FIELDS
      if (this.#events[at]! < sinceMs) continue
      const bits = this.#events[at + 2]!
      durations[KINDS[bits & KIND]!].push(this.#events[at + 1]!)
      if ((bits & FORCED) !== 0) forced++
      if ((bits & EXTERNAL) !== 0) external++
    }
    const { young, old, start, weak } = durations
    return { windowMs, young: pauses(young, windowMs), old: pauses(old, windowMs), all: pauses([...young, ...old, ...start, ...weak], windowMs), forced, external }
  }
}

/** p95: the smallest pause that 95 % of the pauses do not exceed. */
function pauses(durations: number[], windowMs: number): PauseFigures {
  const sorted = durations.sort((a, b) => a - b)
  const count = sorted.length
  const totalMs = sorted.reduce((sum, ms) => sum + ms, 0)
  return {
    count, totalMs, perMinute: windowMs === 0 ? 0 : count / windowMs * 60_000, meanMs: count === 0 ? 0 : totalMs / count,
    p95Ms: sorted[Math.ceil(count * 0.95) - 1] ?? 0, maxMs: sorted.at(-1) ?? 0,
  }
}

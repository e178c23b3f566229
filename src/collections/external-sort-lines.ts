/**
 * Sorts lines of any amount within a budget: bytes in, bytes out, never a string or an object per line.
 *
 * Cost: see `external-sort-engine.ts`; a chunk that is given out is the caller's own.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { NodeBuffer } from '../base/node-buffer.ts'
import { isBytes } from '../base/realms.ts'
import { formatSize } from '../base/sizes.ts'
import type { Lease } from '../memory/budget.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { SortSpace, checkSort } from './external-sort-space.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'

export interface SortLinesOptions extends SortSpaceOptions {
  /** Largest first. */
  reverse?: boolean | undefined
  /** The byte that ends a line: default 10, a line feed. */
  delimiter?: number | undefined
  /**
   * Give out every chunk in the same memory: it holds until the next one is asked for. Default false. Without it the chunks are
   * garbage that V8 lets grow to some 60 MiB before it looks.
   */
  reuseChunks?: boolean | undefined
  signal?: AbortSignal | undefined
  /** @internal For tests and measurements. */
  monitor?: SortMonitor | undefined
}

/**
 * The lines of `chunks`, by unsigned bytes as `LC_ALL=C sort` has them, in chunks of up to 256 KiB (less under a small budget) that end with a line. Chunks
 * may be cut anywhere; a last line without delimiter gets one. Memory stays within `budget`, what does not fit goes to scratch
 * files in `directory`. Throws BUDGET_TOO_SMALL for a line longer than about a sixteenth of the budget (an eighth
 * if all fits in memory), ABORTED, NO_SPACE.
 */
export async function* sortLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, options: SortLinesOptions = {},
): AsyncGenerator<NodeBuffer, void, undefined> {
  checkSort(chunks, options, ['delimiter', 'reuseChunks'], 'sortLines')
  const { delimiter = 10 } = options
  if (!(Number.isInteger(delimiter) && delimiter >= 0 && delimiter <= 255)) {
    throw invalidArgument(`delimiter must be a byte, 0 to 255, not ${String(delimiter)}`)
  }
  const space = new SortSpace(options)
  try {
    const engine = space.engine({ reverse: options.reverse === true }, space.outputBytes)
    // Before the list of pages takes what is left.
    const lease = space.hold('sort output', space.outputBytes)
    const turns = space.turns('sortLines', options.signal)
    turns.check()
    const rest = new RestOfLine(engine, space.hold('sort output', 0), space.bytes)
    for await (const chunk of chunks) {
      if (!isBytes(chunk)) throw invalidArgument(`sortLines takes chunks of bytes, not ${typeof chunk}. Encode text first`)
      turns.rested()
      let from = rest.complete(chunk, delimiter)
      while (rest.ready && !rest.add()) await turns.run(engine.spill())
      while (!engine.addLines(chunk, from, delimiter)) {
        from = engine.rest
        await turns.run(engine.spill())
      }
      rest.keep(chunk, engine.rest)
    }
    rest.end()
    while (rest.ready && !rest.add()) await turns.run(engine.spill())
    rest.close()

    await turns.run(engine.finish())
    options.monitor?.(space.report(engine))
    let bytes = space.outputBytes
    let chunk: Buffer = NO_CHUNK
    for (;;) {
      turns.rested()
      if (bytes > lease.bytes && !lease.resize(bytes)) lease.account.lease(bytes - lease.bytes).release()
      if (options.reuseChunks !== true || chunk.length < bytes) chunk = Buffer.allocUnsafeSlow(bytes)
      const end = engine.fillLines(chunk, 0, chunk.length, delimiter)
      if (end > 0) yield chunk.subarray(0, end)
      if (engine.waiting === 0) break
      bytes = Math.max(space.outputBytes, engine.waiting)
    }
  } finally {
    space.close()
  }
}

/**
 * The beginning of a line whose end is in a later chunk.
 *
 * 1. Its memory is leased before it is there. It grows in place, so that a long line needs no room for a second copy of itself, and
 *    what a long line took is given back when that is in the sort.
 */
class RestOfLine {
  /** It is a whole line now, to be added. */
  ready = false
  readonly #engine: SortEngine
  readonly #lease: Lease
  readonly #budgetBytes: number
  /** Follows the length of its buffer; made for the first line that needs it. */
  #buffer: Uint8Array<ArrayBuffer> | undefined
  #bytes = 0
  #line: Uint8Array = NOTHING

  constructor(engine: SortEngine, lease: Lease, budgetBytes: number) {
    this.#engine = engine
    this.#lease = lease
    this.#budgetBytes = budgetBytes
  }

  /** End the line with the beginning of a chunk; returns where the next line begins. */
  complete(chunk: Uint8Array, delimiter: number): number {
    if (this.#bytes === 0) return 0
    const end = chunk.indexOf(delimiter)
    if (end < 0) return 0
    this.keep(chunk.subarray(0, end), 0)
    this.end()
    return end + 1
  }

  /** What a chunk has from `from` on, as a copy: the chunk is somebody else's. */
  keep(chunk: Uint8Array, from: number): void {
    if (from >= chunk.length) return
    const at = this.#bytes
    const bytes = at + chunk.length - from
    const buffer = this.#withRoom(bytes)
    buffer.set(chunk.subarray(from), at)
    this.#bytes = bytes
  }

  /** No more comes: what there is, is a line. */
  end(): void {
    if (this.#bytes === 0) return
    this.#line = this.#buffer!.subarray(0, this.#bytes)
    this.#bytes = 0
    this.ready = true
  }

  /** False when the arena is full. */
  add(): boolean {
    const line = this.#line
    if (!this.#engine.add(line, 0, line.length, NOTHING, 0, 0)) return false
    this.ready = false
    this.#line = NOTHING
    if (this.#lease.bytes > KEPT_BYTES) this.#shrink(KEPT_BYTES)
    return true
  }

  /** Give its memory back, before there are lines to give out. */
  close(): void {
    this.#shrink(0)
  }

  #withRoom(bytes: number): Uint8Array<ArrayBuffer> {
    const { largestBytes } = this.#engine
    if (bytes > largestBytes) throw this.#tooLong(bytes, largestBytes)
    const buffer = this.#buffer ??= new Uint8Array(new ArrayBuffer(0, { maxByteLength: largestBytes }))
    if (bytes <= buffer.byteLength) return buffer
    // Twice as much, or else what is needed and no more.
    const doubled = Math.min(Math.max(bytes, 2 * buffer.byteLength, FIRST_REST_BYTES), largestBytes)
    const grown = this.#lease.resize(doubled) ? doubled : bytes
    if (grown !== doubled && !this.#lease.resize(bytes)) throw this.#tooLong(bytes, this.#lease.bytes + this.#lease.account.budget.freeBytes)
    buffer.buffer.resize(grown)
    return buffer
  }

  #shrink(bytes: number): void {
    this.#buffer?.buffer.resize(bytes)
    this.#lease.resize(bytes)
  }

  #tooLong(lineBytes: number, largestBytes: number): SpillwayError {
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `a line is longer than ${formatSize(largestBytes)}, the most that can be sorted now in ${formatSize(this.#budgetBytes)} of memory. `
      + `Raise the budget to at least ${formatSize(LINES_A_BUDGET * lineBytes)} for a line of ${formatSize(lineBytes)} so far, or check the delimiter`,
      { details: { lineBytes, largestBytes, budgetBytes: this.#budgetBytes } },
    )
  }
}

/** An unfinished line takes at least so much, and between two long ones keeps no more. */
const FIRST_REST_BYTES = 1024
const KEPT_BYTES = 16 * 1024
/** A line of a sixteenth of the budget can be sorted, whatever else is held. */
const LINES_A_BUDGET = 16
const NO_CHUNK = Buffer.alloc(0)
const NOTHING = new Uint8Array(0)

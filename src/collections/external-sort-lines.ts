/** Sorts lines as bytes. Cost: see `external-sort-engine.ts`. */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { NodeBuffer } from '../base/node-buffer.ts'
import { isBytes } from '../base/realms.ts'
import { formatSize } from '../base/sizes.ts'
import type { Lease } from '../memory/budget.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { SortSpace, checkSort } from './external-sort-space.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'

export interface SortLinesOptions extends SortSpaceOptions {
  /** Descending. Default false. */
  reverse?: boolean | undefined
  /** Byte that ends a line. Default 10, a line feed. */
  delimiter?: number | undefined
  /**
   * Yield all chunks in one buffer; each is valid until the next is requested. Default false: chunks are garbage, of which V8 lets some
   * 60 MiB accumulate.
   */
  reuseChunks?: boolean | undefined
  /** Aborts the sort. Default: none. */
  signal?: AbortSignal | undefined
  /** @internal */
  monitor?: SortMonitor | undefined
}

/**
 * Sort lines by unsigned bytes, like `LC_ALL=C sort`. Input chunks may be cut anywhere; output chunks of up to 256 KiB end with a
 * line. A last line without delimiter gets one.
 * @throws SPILLWAY_INVALID_ARGUMENT  wrong option, or a chunk that is not bytes
 * @throws SPILLWAY_BUDGET_TOO_SMALL  budget below 2 MiB, or a line above a sixteenth of it
 * @throws SPILLWAY_NO_SPACE | SPILLWAY_UNAVAILABLE | SPILLWAY_CORRUPTION  disk full, failing or corrupt
 * @throws SPILLWAY_ABORTED           `signal` fired
 * @example
 * ```ts
 * import { sortLines } from 'spillway/collections'
 *
 * for await (const chunk of sortLines([Buffer.from('pear\nap'), Buffer.from('ple')])) process.stdout.write(chunk) // apple, pear
 * ```
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
    // Before the page list takes the rest.
    const lease = space.hold('sort output', space.outputBytes)
    const turns = space.turns('sortLines', options.signal)
    turns.check()
    const rest = new RestOfLine(engine, space.hold('sort output', 0), space.bytes)
    for await (const chunk of chunks) {
      if (!isBytes(chunk)) throw invalidArgument(`sortLines takes chunks of bytes, not ${typeof chunk}. Encode text first`)
      turns.startSlice()
      let from = rest.complete(chunk, delimiter)
      while (rest.ready && !rest.add()) await turns.run(engine.spill())
      while (!engine.addLines(chunk, from, delimiter)) {
        from = engine.rest
        await turns.run(engine.spill())
      }
      rest.append(chunk, engine.rest)
    }
    rest.end()
    while (rest.ready && !rest.add()) await turns.run(engine.spill())
    rest.close()

    await turns.run(engine.finish())
    options.monitor?.(space.report(engine))
    let bytes = space.outputBytes
    let chunk: Buffer = NO_CHUNK
    for (;;) {
      turns.startSlice()
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

/** Start of a line that ends in a later chunk. It grows in place, so a long line needs no second copy. */
class RestOfLine {
  /** Complete: call `add`. */
  ready = false
  readonly #engine: SortEngine
  readonly #lease: Lease
  readonly #budgetBytes: number
  #buffer: Uint8Array<ArrayBuffer> | undefined
  #bytes = 0
  #line: Uint8Array = NOTHING

  constructor(engine: SortEngine, lease: Lease, budgetBytes: number) {
    this.#engine = engine
    this.#lease = lease
    this.#budgetBytes = budgetBytes
  }

  /** Returns the start of the next line. */
  complete(chunk: Uint8Array, delimiter: number): number {
    if (this.#bytes === 0) return 0
    const end = chunk.indexOf(delimiter)
    if (end < 0) return 0
    this.append(chunk.subarray(0, end), 0)
    this.end()
    return end + 1
  }

  /** A copy: the caller may reuse the chunk. */
  append(chunk: Uint8Array, from: number): void {
    if (from >= chunk.length) return
    const at = this.#bytes
    const bytes = at + chunk.length - from
    const buffer = this.#withRoom(bytes)
    buffer.set(chunk.subarray(from), at)
    this.#bytes = bytes
  }

  end(): void {
    if (this.#bytes === 0) return
    this.#line = this.#buffer!.subarray(0, this.#bytes)
    this.#bytes = 0
    this.ready = true
  }

  add(): boolean {
    const line = this.#line
    if (!this.#engine.add(line, 0, line.length, NOTHING, 0, 0)) return false
    this.ready = false
    this.#line = NOTHING
    if (this.#lease.bytes > MAX_KEPT_BYTES) this.#shrink(MAX_KEPT_BYTES)
    return true
  }

  close(): void {
    this.#shrink(0)
  }

  #withRoom(bytes: number): Uint8Array<ArrayBuffer> {
    const { largestBytes } = this.#engine
    if (bytes > largestBytes) throw this.#tooLong(bytes, largestBytes)
    const buffer = this.#buffer ??= new Uint8Array(new ArrayBuffer(0, { maxByteLength: largestBytes }))
    if (bytes <= buffer.byteLength) return buffer
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
      `a line is longer than ${formatSize(largestBytes)}, the maximum in ${formatSize(this.#budgetBytes)} of memory. `
      + `Raise the budget to at least ${formatSize(BUDGET_PER_LINE * lineBytes)} for this line of ${formatSize(lineBytes)} or more, or check the delimiter`,
      { details: { lineBytes, largestBytes, budgetBytes: this.#budgetBytes } },
    )
  }
}

/** Minimum, and maximum kept between long lines. */
const FIRST_REST_BYTES = 1024
const MAX_KEPT_BYTES = 16 * 1024
/** Always fits. */
const BUDGET_PER_LINE = 16
const NO_CHUNK = Buffer.alloc(0)
const NOTHING = new Uint8Array(0)

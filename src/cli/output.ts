/**
 * Buffered output with backpressure, without a promise per entry: `add` until `full`, then `await drain()`.
 *
 * Invariant: memory holds at most one piece of PIECE_BYTES, unwritten bytes of the stream below, and one entry.
 */
import type { OutputStream } from './io.ts'

const PIECE_BYTES = 64 * 1024

export class Output {
  /** The reader went away (EPIPE), which is no error: later data is dropped. */
  closed = false
  bytes = 0
  readonly #stream: OutputStream
  readonly #onError: (error: Error) => void
  #piece = Buffer.allocUnsafe(PIECE_BYTES)
  #used = 0
  #full = false
  #error: Error | undefined
  #waiting: (() => void) | undefined

  constructor(stream: OutputStream) {
    this.#stream = stream
    this.#onError = error => {
      this.closed = true
      if (!isBrokenPipe(error)) this.#error ??= error
      this.#waiting?.()
    }
    stream.on('error', this.#onError)
  }

  get full(): boolean { return this.#full }

  /** Takes ownership of `data`: large data is passed on without a copy. */
  add(data: Uint8Array | string): void {
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    this.bytes += length
    if (length > PIECE_BYTES - this.#used) this.#pass()
    if (length > PIECE_BYTES) {
      this.#write(data)
      return
    }
    if (typeof data === 'string') this.#piece.write(data, this.#used)
    else this.#piece.set(data, this.#used)
    this.#used += length
  }

  /** Resolves when the stream takes more, or is closed. Throws write errors. */
  async drain(): Promise<void> {
    if (this.#full && !this.closed) {
      const { promise, resolve } = deferred()
      this.#waiting = resolve
      this.#stream.once('drain', resolve)
      this.#stream.once('close', resolve)
      await promise
      this.#stream.off('drain', resolve)
      this.#stream.off('close', resolve)
      this.#waiting = undefined
    }
    this.#full = false
    if (this.#error !== undefined) throw this.#error
  }

  /** Throws write errors. */
  async finish(): Promise<void> {
    if (!this.closed) {
      const { promise, resolve } = deferred()
      this.#waiting = resolve
      this.#stream.write(this.#piece.subarray(0, this.#used), error => {
        // Called before the stream's error event.
        if (error) this.#onError(error)
        resolve()
      })
      this.#piece = Buffer.allocUnsafe(0)
      this.#used = 0
      await promise
      this.#waiting = undefined
    }
    this.#stream.off('error', this.#onError)
    if (this.#error !== undefined) throw this.#error
  }

  #pass(): void {
    if (this.#used === 0) return
    this.#write(this.#piece.subarray(0, this.#used))
    this.#piece = Buffer.allocUnsafe(PIECE_BYTES)
    this.#used = 0
  }

  #write(data: Uint8Array | string): void {
    if (!this.closed && !this.#stream.write(data)) this.#full = true
  }
}

export async function print(stream: OutputStream, text: string): Promise<void> {
  const output = new Output(stream)
  output.add(text)
  await output.finish()
}

export function printJson(stream: OutputStream, value: unknown): Promise<void> {
  return print(stream, `${JSON.stringify(value, undefined, 2)}\n`)
}

export function isBrokenPipe(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
}

function deferred(): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(settle => { resolve = settle })
  return { promise, resolve }
}

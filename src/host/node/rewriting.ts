/**
 * Makes a file durable where `fsync` is refused: bytes written since the last time are read and written again through an O_SYNC
 * descriptor.
 *
 * Invariants
 * 1. Reading and rewriting is one synchronous stretch, so no write in between is lost.
 * 2. The content of a file that existed at open counts as not durable.
 *
 * Cost: every byte is written twice, and the thread waits.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'

const PIECE_BYTES = 256 * 1024

export class Rewriting {
  readonly #path: string
  /** Possibly not durable: [from, to). */
  #from = 0
  #to = Infinity
  #fd: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  wrote(position: number, length: number): void {
    this.#from = Math.min(this.#from, position)
    this.#to = Math.max(this.#to, position + length)
  }

  /** Truncated or extended: the last byte makes the length durable. */
  truncated(length: number): void {
    this.wrote(Math.max(0, length - 1), Math.min(1, length))
  }

  sync(): void {
    if (this.#from >= this.#to) return
    this.#fd ??= openSync(this.#path, constants.O_RDWR | constants.O_SYNC)
    const end = Math.min(this.#to, fstatSync(this.#fd).size)
    const piece = new Uint8Array(Math.max(0, Math.min(PIECE_BYTES, end - this.#from)))
    for (let at = this.#from; at < end;) {
      const count = readSync(this.#fd, piece, 0, Math.min(piece.length, end - at), at)
      if (count === 0) break
      for (let done = 0; done < count;) done += writeSync(this.#fd, piece, done, count - done, at + done)
      at += count
    }
    this.#from = Infinity
    this.#to = 0
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

/**
 * Making a file durable where `fsync` is refused: what was written since the last time is read and written once more, through a
 * descriptor opened with O_SYNC. Such a write returns when it, and what is needed to find it again, is on the disk.
 *
 * Invariants
 * 1. Bytes are written as they are read, in one synchronous stretch, so nothing that was written meanwhile is lost.
 * 2. A file that was there when it was opened counts as not durable, as somebody else may have written it.
 *
 * Cost: everything is written twice, and the thread waits for it.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'

const PIECE_BYTES = 256 * 1024

export class Rewriting {
  readonly #path: string
  /** What may not be durable yet: [from, to). */
  #from = 0
  #to = Infinity
  #fd: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** So many bytes were written there. */
  wrote(position: number, length: number): void {
    this.#from = Math.min(this.#from, position)
    this.#to = Math.max(this.#to, position + length)
  }

  /** The file was cut there, or grew to there: its last byte makes the length durable. */
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

/**
 * The one buffer in which all stores of a budget frame their commit groups, one store at a time. A store that finds another
 * one's bytes in it has them committed and written first.
 *
 * Account: `log`.
 */
import { invalidArgument } from '../../base/errors.ts'

export interface LogBufferOwner {
  /** A write is being framed, with calls of the user's codecs in between. */
  readonly isAppending: boolean
  /** Commit what is pending and write everything out: the buffer is somebody else's next. Throws when it cannot be written. */
  vacate(): void
}

export class LogBuffer {
  readonly bytes: Uint8Array
  #owner: LogBufferOwner | undefined

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes)
  }

  claim(owner: LogBufferOwner): void {
    if (this.#owner === owner) return
    if (this.#owner?.isAppending) {
      throw invalidArgument('a codec wrote to a store that shares its budget with the one it encodes for. Let encode only encode')
    }
    this.#owner?.vacate()
    this.#owner = owner
  }

  /** The store closes. */
  leave(owner: LogBufferOwner): void {
    if (this.#owner === owner) this.#owner = undefined
  }
}

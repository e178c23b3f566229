/**
 * The one buffer in which all stores of a budget frame their commit groups, one store at a time. A store that needs it makes the
 * current owner commit and write its bytes first.
 *
 * Account: `log`.
 */
import { invalidArgument } from '../../base/errors.ts'

export interface LogBufferOwner {
  /** A write is being framed; user codecs may run in between. */
  readonly isAppending: boolean
  /** Commit the pending group and write everything out. Throws when that fails. */
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

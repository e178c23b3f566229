/**
 * The one buffer in which all stores of a budget frame their commit groups, one store at a time. A store that finds another
 * one's bytes in it has them committed and written first.
 *
 * Account: `log`.
 */
export interface LogBufferOwner {
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
    this.#owner?.vacate()
    this.#owner = owner
  }

  /** The store closes. */
  leave(owner: LogBufferOwner): void {
    if (this.#owner === owner) this.#owner = undefined
  }
}

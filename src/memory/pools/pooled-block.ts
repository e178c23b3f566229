/** A block that `using` frees. */
import { invalidArgument } from '../../base/errors.ts'

export class PooledBlock implements Disposable {
  #bytes: Uint8Array<ArrayBuffer> | undefined
  readonly #free: () => void

  /** @internal */
  constructor(bytes: Uint8Array<ArrayBuffer>, free: () => void) {
    this.#bytes = bytes
    this.#free = free
  }

  /** @throws SPILLWAY_INVALID_ARGUMENT it was disposed */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes === undefined) throw invalidArgument('the block was given back. Use its bytes before it is disposed')
    return this.#bytes
  }

  [Symbol.dispose](): void {
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#free()
  }
}

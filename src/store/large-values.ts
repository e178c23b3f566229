/**
 * Values too large for the memtable go to files of their own while their write call is being appended; the entry then holds
 * a reference. If the call fails, its files are removed again.
 */
import { EMPTY, KIND_PUT, KIND_VALUE_FILE } from '../base/cursor.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference, encodeValueReference, writeValueFile } from '../table/value-file.ts'
import type { Core } from './core.ts'
import { ioError } from './io-error.ts'
import type { Operations } from './operations.ts'

export class LargeValues {
  readonly #core: Core
  /** References of the call being appended, by operation: it may be loaded more than once. */
  readonly #references = new Map<number, Uint8Array>()
  /** What the last reference stands for. */
  #value = EMPTY
  #valueStart = 0
  #valueEnd = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** Bytes that the current operation's value will take in the memtable and the log. */
  storedBytes(operations: Operations): number {
    return this.#isLarge(operations) ? VALUE_REFERENCE_BYTES : operations.valueEnd - operations.valueStart
  }

  /** Put a reference in the place of a large value of operation i, the current one; its file is written the first time. */
  replace(operations: Operations, i: number, durable: boolean): void {
    if (!this.#isLarge(operations)) return
    let reference = this.#references.get(i)
    if (reference === undefined) {
      reference = this.#write(operations.value.subarray(operations.valueStart, operations.valueEnd), durable)
      this.#references.set(i, reference)
    }
    this.#value = operations.value
    this.#valueStart = operations.valueStart
    this.#valueEnd = operations.valueEnd
    operations.kind = KIND_VALUE_FILE
    operations.value = reference
    operations.valueStart = 0
    operations.valueEnd = reference.length
  }

  /** The call is in the log: its files are the memtable's now. */
  keep(): void {
    if (this.#references.size === 0) return
    this.#references.clear()
    this.#value = EMPTY
  }

  /** The call has failed or must wait. What waits is loaded anew; where loading does nothing, the value is put back here. */
  forget(operations: Operations): void {
    if (this.#references.size === 0) return
    const core = this.#core
    for (const reference of this.#references.values()) {
      const { fileNumber } = decodeValueReference(reference, 0, reference.length)
      core.unsyncedValues.delete(fileNumber)
      core.discard(core.valuePath(fileNumber))
    }
    this.#references.clear()
    if (operations.kind === KIND_VALUE_FILE) {
      operations.kind = KIND_PUT
      operations.value = this.#value
      operations.valueStart = this.#valueStart
      operations.valueEnd = this.#valueEnd
    }
    this.#value = EMPTY
  }

  #isLarge({ kind, valueStart, valueEnd }: Operations): boolean {
    return kind === KIND_PUT && valueEnd - valueStart > this.#core.plan.inlineValueBytes
  }

  #write(value: Uint8Array, durable: boolean): Uint8Array {
    const core = this.#core
    core.valueFiles.makeRoom()
    const number = core.takeFileNumber()
    try {
      writeValueFile(core.host.files, core.valuePath(number), number, value, core.kernels, durable)
      if (durable) core.host.files.syncDirectory(core.directory)
      else core.unsyncedValues.add(number)
    } catch (error) {
      throw ioError(error, 'writing a large value')
    }
    core.counters.valueFileBytes += value.length
    core.counters.userBytes += value.length
    const reference = new Uint8Array(VALUE_REFERENCE_BYTES)
    encodeValueReference(reference, 0, number, value.length)
    return reference
  }
}

/**
 * Values too large for a memtable go to files of their own while their write is appended; the entry holds a reference.
 *
 * Invariants
 * 1. A value goes from the caller's memory to its file piece by piece, once, however often its call is appended.
 * 2. Files of a call that fails or must wait are removed, and so are those of a group that does not reach the log.
 * 3. A file is counted, and its bookkeeping bytes leased, before it is written.
 *
 * Account: `table metadata`, for the bookkeeping.
 */
import { EMPTY, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { VALUE_REFERENCE_BYTES, encodeValueReference, writeValueFile, writeValueText } from '../../table/value-file.ts'
import type { StoreState } from '../state/store-state.ts'
import { ioError } from '../api/io-errors.ts'
import type { Operations } from '../api/operation.ts'

interface WrittenFile {
  fileNumber: number
  lengthBytes: number
}

export class LargeValues {
  readonly #core: StoreState
  /** Files of the call being appended, by operation: it may be loaded more than once. */
  readonly #written = new Map<number, WrittenFile>()
  /** Files of the pending group. */
  #pending: number[] = []
  readonly #reference = new Uint8Array(VALUE_REFERENCE_BYTES)
  /** The value behind the last reference. */
  #value: Uint8Array = EMPTY
  #valueStart = 0
  #valueEnd = 0

  constructor(core: StoreState) {
    this.#core = core
  }

  /** Bytes of the current operation's value in memtable and log. */
  storedBytes(operations: Operations): number {
    return this.#isLarge(operations) ? VALUE_REFERENCE_BYTES : operations.valueEnd - operations.valueStart
  }

  /**
   * Replace a large value of operation i, the current one, by a reference; the file is written the first time. False: no
   * bookkeeping memory for another file now.
   */
  replace(operations: Operations, i: number, durable: boolean): boolean {
    if (operations.kind !== KIND_PUT) return true
    // A codec may encode the same value differently each time; the written length counts.
    let file = this.#written.size === 0 ? undefined : this.#written.get(i)
    if (file === undefined) {
      if (!this.#isLarge(operations)) return true
      if (!this.#core.valueFiles.reserve(this.#pending.length + this.#written.size + 1)) return false
      file = this.#write(operations, durable)
      this.#written.set(i, file)
    }
    this.#value = operations.value
    this.#valueStart = operations.valueStart
    this.#valueEnd = operations.valueEnd
    operations.kind = KIND_VALUE_FILE
    operations.value = this.#reference
    operations.valueStart = 0
    operations.valueEnd = encodeValueReference(this.#reference, 0, file.fileNumber, file.lengthBytes)
    return true
  }

  /** The call has joined the pending group, with its files. */
  keep(): void {
    if (this.#written.size === 0) return
    for (const { fileNumber, lengthBytes } of this.#written.values()) {
      this.#pending.push(fileNumber)
      this.#core.counters.userBytes += lengthBytes
      this.#core.counters.largeBytes += lengthBytes
    }
    this.#written.clear()
    this.#value = EMPTY
  }

  /** The group is in the log: its files belong to the memtable. */
  settled(): void {
    if (this.#pending.length === 0) return
    this.#pending = []
    this.#core.valueFiles.reserve(this.#written.size)
  }

  /** The group is not in the log, and no reference to its files is. */
  lost(): void {
    if (this.#pending.length === 0) return
    for (const fileNumber of this.#pending) if (!this.#core.valueFiles.has(fileNumber)) this.#remove(fileNumber)
    this.settled()
  }

  /** The call has failed or must wait. Waiting operations are loaded again; where loading does nothing, restore the value here. */
  forget(operations: Operations): void {
    if (this.#written.size === 0) return
    for (const { fileNumber } of this.#written.values()) this.#remove(fileNumber)
    this.#written.clear()
    this.#core.valueFiles.reserve(this.#pending.length)
    if (operations.kind === KIND_VALUE_FILE) {
      operations.kind = KIND_PUT
      operations.value = this.#value
      operations.valueStart = this.#valueStart
      operations.valueEnd = this.#valueEnd
    }
    this.#value = EMPTY
  }

  #isLarge({ kind, valueStart, valueEnd, longText }: Operations): boolean {
    return kind === KIND_PUT && (valueEnd - valueStart > this.#core.engine.plan.inlineValueBytes || longText !== '')
  }

  #write({ value, valueStart, valueEnd, longText }: Operations, durable: boolean): WrittenFile {
    const { files: { io: files, unsyncedValues, directory }, engine: { kernels }, counters } = this.#core
    const fileNumber = this.#core.files.takeNumber()
    const path = this.#core.files.valuePath(fileNumber)
    let lengthBytes = valueEnd - valueStart
    let exists = false
    try {
      if (longText === '') writeValueFile(files, path, fileNumber, value, kernels, durable, valueStart, valueEnd)
      else lengthBytes = writeValueText(files, path, fileNumber, longText, lengthBytes, kernels, durable)
      exists = true
      if (durable) files.syncDirectory(directory)
      else unsyncedValues.add(fileNumber)
    } catch (error) {
      if (exists) this.#core.files.discard(path)
      throw ioError(error, 'writing a large value')
    }
    counters.valueFileBytes += lengthBytes
    return { fileNumber, lengthBytes }
  }

  #remove(fileNumber: number): void {
    this.#core.files.unsyncedValues.delete(fileNumber)
    this.#core.files.discard(this.#core.files.valuePath(fileNumber))
  }
}

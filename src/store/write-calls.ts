/**
 * Write calls: arguments are checked and encoded, then handed to the writer.
 *
 * Invariants
 * 1. A call refused for its arguments has written nothing.
 * 2. After a call nothing of the caller's memory is held: waiting operations are copies.
 *
 * Account: none; see `write queue`. Cost: no allocation for a put or del of short text.
 */
import { KIND_DELETE, KIND_PUT } from '../base/cursor.ts'
import { invalidArgument } from '../base/errors.ts'
import { isAbortSignal } from '../base/realms.ts'
import { checkOptions } from '../base/option-names.ts'
import type { EncodeBuffers } from './api/encode-buffers.ts'
import type { StoreState } from './state/store-state.ts'
import { describe } from '../encoding/encoding.ts'
import { BatchOperations, SingleOperation, checkLengths, encodeKey, encodeValue } from './api/operations.ts'
import type { OperationList } from './api/operations.ts'
import { checkedDurability } from './api/settings.ts'
import { RANGE_OPTIONS, byteRange } from './api/key-range.ts'
import { rangeDelete } from './write/range-delete.ts'
import type { AnyEncodings } from '../encoding/encoding-types.ts'
import type { BatchOperation, Durability, DurableOptions, RangeOptions } from './api/options.ts'
import type { Writer } from './write/writer.ts'

export type WriteCallOptions = DurableOptions & AnyEncodings

const WRITE_OPTIONS = ['durability', 'signal', 'keyEncoding', 'valueEncoding']

export class WriteCalls {
  readonly #core: StoreState
  readonly #writer: Writer
  readonly #scratch: EncodeBuffers
  readonly #single = new SingleOperation()

  constructor(core: StoreState, writer: Writer, scratch: EncodeBuffers) {
    this.#core = core
    this.#writer = writer
    this.#scratch = scratch
  }

  put(key: unknown, value: unknown, options: WriteCallOptions | undefined): Promise<void> {
    // Not an async function: writes of one turn share a promise.
    try {
      return this.#writer.write(this.#single, this.#loadPut(key, value, options), options?.signal)
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.letGo()
    }
  }

  putSync(key: unknown, value: unknown, options: WriteCallOptions | undefined): void {
    try {
      this.#writer.writeSync(this.#single, this.#loadPut(key, value, options), options?.signal)
    } finally {
      this.letGo()
    }
  }

  del(key: unknown, options: WriteCallOptions | undefined): Promise<void> {
    try {
      return this.#writer.write(this.#single, this.#loadDel(key, options), options?.signal)
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.letGo()
    }
  }

  delSync(key: unknown, options: WriteCallOptions | undefined): void {
    try {
      this.#writer.writeSync(this.#single, this.#loadDel(key, options), options?.signal)
    } finally {
      this.letGo()
    }
  }

  async deleteRange(range: RangeOptions<unknown>, options: WriteCallOptions | undefined): Promise<void> {
    const durability = this.#durability(options)
    const removal = this.#loadRange(range, options)
    if (removal !== undefined) await this.#writer.write(removal, durability, options?.signal)
  }

  deleteRangeSync(range: RangeOptions<unknown>, options: WriteCallOptions | undefined): void {
    const durability = this.#durability(options)
    const removal = this.#loadRange(range, options)
    if (removal !== undefined) this.#writer.writeSync(removal, durability, options?.signal)
  }

  async batch(operations: readonly BatchOperation<unknown, unknown>[], options: WriteCallOptions | undefined): Promise<void> {
    const loaded = this.#loadBatch(operations, options)
    const durability = this.#durability(options)
    if (loaded.count === 0) return
    let written: Promise<void>
    try {
      written = this.#writer.write(loaded, durability, options?.signal)
    } finally {
      this.letGo()
    }
    await written
  }

  batchSync(operations: readonly BatchOperation<unknown, unknown>[], options: WriteCallOptions | undefined): void {
    const loaded = this.#loadBatch(operations, options)
    const durability = this.#durability(options)
    if (loaded.count === 0) return
    try {
      this.#writer.writeSync(loaded, durability, options?.signal)
    } finally {
      this.letGo()
    }
  }

  /** After a write: drop references to the caller's memory, above all to a large value. */
  letGo(): void {
    const { key, value } = this.#scratch
    if (!key.holdsForeign && !value.holdsForeign) return
    // A call from a codec is refused, and the outer call goes on.
    if (key.busy || value.busy) return
    this.#single.release()
    key.release()
    value.release()
  }

  #loadPut(key: unknown, value: unknown, options: WriteCallOptions | undefined): Durability {
    const single = this.#single
    const scratch = this.#scratch
    scratch.checkReentry()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'put')
    encodeKey(key, scratch.keys(options), scratch.key)
    encodeValue(key, value, scratch.values(options), scratch.value)
    single.kind = KIND_PUT
    single.key = scratch.key.bytes
    single.keyStart = scratch.key.start
    single.keyEnd = scratch.key.end
    single.value = scratch.value.bytes
    single.valueStart = scratch.value.start
    single.valueEnd = scratch.value.end
    single.longText = scratch.value.longText
    checkLengths(single.keyEnd - single.keyStart, single.valueEnd - single.valueStart)
    return this.#durability(options)
  }

  #loadDel(key: unknown, options: WriteCallOptions | undefined): Durability {
    const single = this.#single
    const scratch = this.#scratch
    scratch.checkReentry()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'del')
    encodeKey(key, scratch.keys(options), scratch.key)
    single.kind = KIND_DELETE
    single.key = scratch.key.bytes
    single.keyStart = scratch.key.start
    single.keyEnd = scratch.key.end
    single.valueStart = 0
    single.valueEnd = 0
    checkLengths(single.keyEnd - single.keyStart, 0)
    return this.#durability(options)
  }

  #loadBatch(operations: readonly BatchOperation<unknown, unknown>[], options: WriteCallOptions | undefined): BatchOperations {
    const scratch = this.#scratch
    scratch.checkReentry()
    checkOptions(options, WRITE_OPTIONS, 'batch')
    return new BatchOperations(operations, scratch.keys(options), scratch.values(options), scratch.key, scratch.value)
  }

  /** Undefined: nothing to delete. */
  #loadRange(range: RangeOptions<unknown>, options: WriteCallOptions | undefined): OperationList | undefined {
    const core = this.#core
    const scratch = this.#scratch
    core.health.checkWritable()
    scratch.checkReentry()
    checkOptions(options, WRITE_OPTIONS, 'deleteRange')
    checkOptions(range, RANGE_OPTIONS, 'deleteRange')
    if (range === undefined || range === null) throw invalidArgument('deleteRange takes a range such as { gte, lt }; {} removes everything')
    return rangeDelete(core, byteRange(range, scratch.keys(options), scratch.key))
  }

  #durability(options: DurableOptions | undefined): Durability {
    const signal = options?.signal
    if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument(`signal must be an AbortSignal, not ${describe(signal)}`)
    const { durability, whyNoDisk } = this.#core.settings
    return checkedDurability(options?.durability, durability, whyNoDisk)
  }
}

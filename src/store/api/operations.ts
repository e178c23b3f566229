/**
 * The operations of one write call, loaded one at a time into the same fields, without allocation per operation. A call that must
 * wait is copied by `keep`.
 */
import { EMPTY, KIND_DELETE, KIND_PUT } from '../../base/cursor.ts'
import { invalidArgument } from '../../base/errors.ts'
import { describe } from '../../encoding/encoding.ts'
import { ofKey } from '../../encoding/encoding-error.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
import { PackedOperations, WAITER_BYTES, packedBytes } from './packed-operations.ts'
import type { Operations } from './operation.ts'
import type { BatchOperation } from './options.ts'

export const MAX_KEY_BYTES = 65535
export const MAX_VALUE_BYTES: number = 256 * 1024 * 1024

export function checkLengths(keyBytes: number, valueBytes: number): void {
  if (keyBytes > MAX_KEY_BYTES) {
    throw invalidArgument(`a key of ${keyBytes} bytes; keys have at most ${MAX_KEY_BYTES}. Hash it, or put part of it into the value`, { keyBytes, maxBytes: MAX_KEY_BYTES })
  }
  if (valueBytes > MAX_VALUE_BYTES) {
    throw invalidArgument(`a value of ${valueBytes} bytes; values have at most ${MAX_VALUE_BYTES} (256 MiB). Store it in pieces`, { valueBytes, maxBytes: MAX_VALUE_BYTES })
  }
}

/** One encoded operation. */
export class SingleOperation implements Operations {
  readonly count = 1
  kind: number = KIND_PUT
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  longText = ''

  load(): void {}

  /** Drop references to the caller's memory. */
  release(): void {
    this.key = EMPTY
    this.value = EMPTY
    this.longText = ''
  }

  get bytes(): number { return packedBytes(1, this.#contentBytes) }

  keep(): Operations { return new PackedOperations(this, this.#contentBytes) }

  get #contentBytes(): number { return this.keyEnd - this.keyStart + this.valueEnd - this.valueStart }
}

/** A few operations made by the store itself. */
export class OperationList implements Operations {
  kind: number = KIND_PUT
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly longText = ''
  prepare?: () => void
  /** Bytes held by `prepare`. */
  preparedBytes = 0
  readonly #list: { kind: number, key: Uint8Array, value: Uint8Array }[] = []

  get count(): number { return this.#list.length }

  clear(): void {
    this.#list.length = 0
  }

  add(kind: number, key: Uint8Array, value: Uint8Array): void {
    this.#list.push({ kind, key, value })
  }

  load(i: number): void {
    const { kind, key, value } = this.#list[i]!
    this.kind = kind
    this.key = key
    this.keyStart = 0
    this.keyEnd = key.length
    this.value = value
    this.valueStart = 0
    this.valueEnd = value.length
  }

  get bytes(): number {
    return this.#list.reduce((sum, { key, value }) => sum + key.length + value.length, WAITER_BYTES + this.preparedBytes)
  }

  /** It owns its bytes. */
  keep(): Operations { return this }
}

/** A user's batch, encoded as it is loaded. */
export class BatchOperations implements Operations {
  readonly count: number
  kind: number = KIND_PUT
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  longText = ''
  readonly #operations: readonly BatchOperation<unknown, unknown>[]
  readonly #keys: Transcoder
  readonly #values: Transcoder
  readonly #keyScratch: Scratch
  readonly #valueScratch: Scratch

  constructor(
    operations: readonly BatchOperation<unknown, unknown>[], keys: Transcoder, values: Transcoder,
    keyScratch: Scratch, valueScratch: Scratch,
  ) {
    if (!Array.isArray(operations)) throw invalidArgument(`batch takes an array of operations, not ${describe(operations)}`)
    this.count = operations.length
    this.#operations = operations
    this.#keys = keys
    this.#values = values
    this.#keyScratch = keyScratch
    this.#valueScratch = valueScratch
  }

  load(i: number): void {
    // Read all fields before encoding: getters may call the store.
    const { type, key, value, keyEncoding, valueEncoding } = (this.#operations[i] ?? {}) as Record<string, unknown>
    if (type !== 'put' && type !== 'del') {
      throw invalidArgument(`operation ${i} of the batch must have the type 'put' or 'del', not ${describe(type)}. Nothing of the batch was written`)
    }
    if (keyEncoding !== undefined || valueEncoding !== undefined) {
      throw invalidArgument(`operation ${i} of the batch has an encoding of its own. Give it as an option of the batch, for all its operations. Nothing of the batch was written`)
    }
    encodeKey(key, this.#keys, this.#keyScratch)
    this.key = this.#keyScratch.bytes
    this.keyStart = this.#keyScratch.start
    this.keyEnd = this.#keyScratch.end
    if (type === 'put') {
      this.kind = KIND_PUT
      encodeValue(key, value, this.#values, this.#valueScratch)
      this.value = this.#valueScratch.bytes
      this.valueStart = this.#valueScratch.start
      this.valueEnd = this.#valueScratch.end
      this.longText = this.#valueScratch.longText
    } else {
      this.kind = KIND_DELETE
      this.value = EMPTY
      this.longText = ''
      this.valueStart = 0
      this.valueEnd = 0
    }
    checkLengths(this.keyEnd - this.keyStart, this.valueEnd - this.valueStart)
  }

  get bytes(): number { return packedBytes(this.count, this.#measure()) }

  /** The array, its objects and buffers belong to the user, so all is encoded now. */
  keep(): Operations { return new PackedOperations(this, this.#measure()) }

  #measure(): number {
    let bytes = 0
    for (let i = 0; i < this.count; i++) {
      this.load(i)
      bytes += this.keyEnd - this.keyStart + this.valueEnd - this.valueStart
    }
    return bytes
  }
}

export function encodeKey(key: unknown, transcoder: Transcoder, scratch: Scratch): void {
  if (key === undefined || key === null) throw invalidArgument(`a key cannot be ${key}. Give what the key encoding takes, text by default`)
  try {
    transcoder.encode(key, scratch)
  } catch (error) {
    throw ofKey(error, 'key', key)
  }
}

export function encodeValue(key: unknown, value: unknown, transcoder: Transcoder, scratch: Scratch): void {
  if (value === undefined || value === null && transcoder.name !== 'json') throw invalidArgument(`a value cannot be ${value}. Use del to remove a key`)
  try {
    transcoder.encode(value, scratch)
  } catch (error) {
    throw ofKey(error, 'value', key)
  }
}

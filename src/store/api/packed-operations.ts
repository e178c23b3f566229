/**
 * Operations copied into one array, for a call that waits in the queue.
 *
 * Invariants
 * 1. They share nothing with their source: buffers, objects and scratch may change.
 * 2. `bytes` is leased: the array, lengths and kinds, and the objects around them.
 *
 * Account: `write queue`. Cost: each operation is encoded and copied once.
 */
import { EMPTY, KIND_PUT } from '../../base/cursor.ts'
import { copyBytes } from '../../base/bytes.ts'
import type { Operations } from './operation.ts'

/** Objects of a waiting call: this one, three arrays, a promise. */
export const WAITER_BYTES = 1024
/** Two offsets and a kind. */
const BYTES_PER_OPERATION = 9

const encoder = new TextEncoder()

/** Size of a copy of `count` operations whose keys and values add up to `contentBytes`. */
export function packedBytes(count: number, contentBytes: number): number {
  return WAITER_BYTES + count * BYTES_PER_OPERATION + contentBytes
}

export class PackedOperations implements Operations {
  readonly count: number
  kind: number = KIND_PUT
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly longText = ''
  #bytes: Uint8Array
  readonly #kinds: Uint8Array
  /** Operation i: its key ends at ends[2 i], its value at ends[2 i + 1], where the next key begins. */
  readonly #ends: Uint32Array

  /** Copies `operations`, each loaded once. `contentBytes`: their total size; the array grows if they turn out larger. */
  constructor(operations: Operations, contentBytes: number) {
    const { count } = operations
    this.count = count
    this.#bytes = new Uint8Array(contentBytes)
    this.#kinds = new Uint8Array(count)
    this.#ends = new Uint32Array(2 * count)
    let at = 0
    for (let i = 0; i < count; i++) {
      operations.load(i)
      this.#kinds[i] = operations.kind
      at = this.#add(at, operations.key, operations.keyStart, operations.keyEnd)
      this.#ends[2 * i] = at
      at = operations.longText === ''
        ? this.#add(at, operations.value, operations.valueStart, operations.valueEnd)
        : this.#addText(at, operations.longText)
      this.#ends[2 * i + 1] = at
    }
  }

  get bytes(): number { return packedBytes(this.count, this.#bytes.length) }

  load(i: number): void {
    this.kind = this.#kinds[i]!
    this.key = this.#bytes
    this.keyStart = i === 0 ? 0 : this.#ends[2 * i - 1]!
    this.keyEnd = this.#ends[2 * i]!
    // A reference may have replaced the value's fields.
    this.value = this.#bytes
    this.valueStart = this.keyEnd
    this.valueEnd = this.#ends[2 * i + 1]!
  }

  /** It owns its bytes. */
  keep(): Operations { return this }

  #add(at: number, bytes: Uint8Array, start: number, end: number): number {
    const needed = at + end - start
    this.#grow(at, needed)
    copyBytes(bytes, start, end, this.#bytes, at)
    return needed
  }

  #addText(at: number, text: string): number {
    this.#grow(at, at + Buffer.byteLength(text, 'utf8'))
    return at + encoder.encodeInto(text, this.#bytes.subarray(at)).written
  }

  #grow(at: number, needed: number): void {
    if (needed <= this.#bytes.length) return
    // A codec that encodes the same value to different lengths.
    const grown = new Uint8Array(2 * needed)
    grown.set(this.#bytes.subarray(0, at))
    this.#bytes = grown
  }
}

/**
 * Entries of a map in scratch stores: the part common to insertion and key order.
 *
 * Invariants
 * 1. A call that throws has changed nothing. If that cannot be ensured, all later calls throw the same error.
 * 2. A new key is looked up only if the filter does not rule it out.
 *
 * Account: `collections`, the filter.
 */
import { invalidArgument } from '../base/errors.ts'
import { hashKey } from '../base/hash.ts'
import { Scratch } from '../encoding/encoding.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import { EncodingError, ofKey } from '../encoding/encoding-error.ts'
import { MAX_KEY_BYTES, checkLengths } from '../store/api/operations.ts'
import { byteRange } from '../store/api/key-range.ts'
import type { ByteRange } from '../store/api/key-range.ts'
import type { ScratchOptions, ScratchStore } from '../store/scratch/scratch-store.ts'
import type { RangeOptions } from '../store/api/options.ts'
import { KeyFilter } from './spill-map-filter.ts'

export type Want = 'key' | 'value' | 'entry'

export interface EntriesOptions extends ScratchOptions {
  keys: Transcoder
  values: Transcoder
  hasForeignKeys: boolean
}

const KEY_SCRATCH_BYTES = 66 * 1024
const VALUE_SCRATCH_BYTES = 200 * 1024
/** Share of the budget, and bytes left free. */
const FILTER_SHARE = 1 / 4
const FILTER_LEAVES_BYTES = 1024 * 1024

export abstract class Entries {
  abstract readonly tree: ScratchStore
  abstract readonly order: 'insertion' | 'key'
  readonly keys: Transcoder
  readonly values: Transcoder
  protected readonly hasForeignKeys: boolean
  size = 0
  /** Added keys, other changes: they invalidate read-ahead. */
  added = 0
  changed = 0
  protected readonly key = new Scratch(KEY_SCRATCH_BYTES)
  protected readonly value = new Scratch(VALUE_SCRATCH_BYTES, true)
  protected filter!: KeyFilter
  protected hash = 0
  #failure: unknown

  constructor({ keys, values, hasForeignKeys }: EntriesOptions) {
    this.keys = keys
    this.values = values
    this.hasForeignKeys = hasForeignKeys
  }

  abstract has(key: unknown): boolean
  abstract get(key: unknown): unknown
  /** `keepsExisting`: an existing key keeps its value. */
  abstract set(key: unknown, value: unknown, keepsExisting: boolean): void
  abstract delete(key: unknown): boolean
  abstract clear(): void
  abstract close(): void
  protected abstract read(want: Want, place: Uint8Array, placeStart: number, placeEnd: number, kind: number, value: Uint8Array, start: number, end: number): unknown
  protected abstract keyAt(place: Uint8Array): unknown
  abstract isEntry(placeLength: number): boolean
  /** Where iteration may begin. */
  get low(): Uint8Array | undefined { return undefined }
  /** All places before this one are empty. */
  set low(_: Uint8Array | undefined) { /* see the insertion order */ }

  /** Undefined if the entry is gone. */
  decode(want: Want, place: Uint8Array, placeStart: number, placeEnd: number, kind: number, value: Uint8Array, start: number, end: number): unknown {
    try {
      return this.read(want, place, placeStart, placeEnd, kind, value, start, end)
    } catch (error) {
      throw error instanceof EncodingError ? this.#withKey(error, place.slice(placeStart, placeEnd)) : error
    }
  }

  #withKey(error: EncodingError, place: Uint8Array): EncodingError {
    try {
      return error.of('value', this.keyAt(place))
    } catch {
      return error.of('key', place)
    }
  }

  rangeOf(range: RangeOptions<unknown>): ByteRange {
    this.#checkUsable()
    try {
      return byteRange(range, this.keys, this.key)
    } finally {
      this.releaseForeign()
    }
  }

  protected makeFilter(store: ScratchStore): void {
    const account = store.budget.account('collections')
    this.filter = new KeyFilter(account, Math.floor(store.budget.totalBytes * FILTER_SHARE), FILTER_LEAVES_BYTES)
  }

  /** Encodes the key. False: no entry has it. */
  protected load(key: unknown): boolean {
    this.#checkUsable()
    const scratch = this.key
    try {
      this.keys.encode(key, scratch)
    } catch (error) {
      throw ofKey(error, 'key', key)
    }
    const { bytes, start, end } = scratch
    if (end - start > MAX_KEY_BYTES) return false
    this.hash = hashKey(bytes, start, end)
    return this.filter.mayHave(this.hash)
  }

  textOf(key: unknown): string {
    this.#checkUsable()
    const scratch = this.key
    try {
      this.keys.encode(key, scratch)
      const { bytes, start, end } = scratch
      return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start).toString('latin1')
    } finally {
      this.releaseForeign()
    }
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.key.busy || this.value.busy) {
      throw invalidArgument('a codec called the collection it encodes for. encode() and decode() must not call the collection: look up what they need before')
    }
  }

  protected loadValue(key: unknown, value: unknown): void {
    try {
      this.values.encode(value, this.value)
    } catch (error) {
      throw ofKey(error, 'value', key)
    }
    checkLengths(this.key.end - this.key.start, this.value.end - this.value.start)
  }

  protected releaseForeign(): void {
    if (this.value.holdsForeign && !this.value.busy) this.value.release()
    if (this.key.holdsForeign && !this.key.busy) this.key.release()
  }

  /** Roll back. If that fails too, later calls throw. */
  protected undo(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#failure = error
    }
  }

  protected recover(): void {
    this.#failure = undefined
  }
}

/**
 * What a transaction reads: the store at its snapshot, with its own writes on top.
 *
 * Invariants
 * 1. A write that waits for memory is visible to every later read.
 * 2. A key it has written or deleted is never looked up in the store.
 * 3. A scan sees the writes made before it was opened.
 */
import { checkOptions } from '../../base/option-names.ts'
import { MAX_KEY_BYTES, encodeKey } from '../api/operations.ts'
import { ofKey } from '../../encoding/encoding-error.ts'
import { readError } from '../api/io-errors.ts'
import type { ScanOverlay } from '../scan/iterator-plan.ts'
import { behindLastKey } from '../write/range-delete.ts'
import { decodeValue } from '../read/point-reader.ts'
import { Scan } from '../scan/entry-scan.ts'
import type { EntryScan } from '../scan/entry-scan.ts'
import { OverlayScan } from './overlay-scan.ts'
import { WRITE_OPTIONS, keyTranscoder, valueTranscoder } from './transaction-settings.ts'
import type { TransactionParts } from './transaction-settings.ts'
import type { TransactionWrites } from './transaction-writes.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'

export class TransactionView {
  readonly #parts: TransactionParts
  readonly #writes: TransactionWrites
  readonly #snapshotSeq: number

  constructor(parts: TransactionParts, writes: TransactionWrites, snapshotSeq: number) {
    this.#parts = parts
    this.#writes = writes
    this.#snapshotSeq = snapshotSeq
  }

  /** The value of a key, or `true` without `decodes`; undefined: it does not exist. */
  get(key: unknown, options: AnyEncodings | undefined, decodes: boolean): unknown {
    this.#writes.settle()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'get')
    const { core, reader, keyScratch } = this.#parts
    encodeKey(key, keyTranscoder(core, options), keyScratch)
    const { bytes, start, end } = keyScratch
    try {
      if (end - start > MAX_KEY_BYTES) return undefined
      const { ownReader } = this.#writes
      let hit = ownReader?.find(bytes, start, end, Number.MAX_SAFE_INTEGER)
      if (hit === undefined && ownReader?.touched !== true) hit = reader.find(bytes, start, end, this.#snapshotSeq)
      if (hit === undefined || !decodes) return hit === undefined ? undefined : true
      return decodeValue(core, valueTranscoder(core, options), hit.kind, hit.value, hit.valueStart, hit.valueEnd)
    } catch (error) {
      throw ofKey(readError(error), 'value', key)
    } finally {
      if (keyScratch.holdsForeign) keyScratch.release()
    }
  }

  /** Its present writes, laid over the store. `onClose` is called when the iterator closes. */
  overlay(onClose: () => void): ScanOverlay {
    this.#writes.settle()
    const { core } = this.#parts
    const { own } = this.#writes
    if (own === undefined) {
      return { generation: 0, lastSeq: 0, open: (seq: number, reverse: boolean): EntryScan => new Scan(core, seq, reverse), close: onClose }
    }
    const ownSeq = own.lastSeq
    const snapshot = own.snapshots.add(ownSeq)
    return {
      get generation() { return own.view.generation },
      get lastSeq() { return own.lastSeq },
      open: (seq, reverse) => new OverlayScan(own, ownSeq, core, seq, reverse),
      close: () => {
        snapshot.close()
        onClose()
      },
    }
  }

  /** The successor of the last visible key; undefined when there is none. */
  behindLastKey(): Uint8Array | undefined {
    const overlay = this.overlay(() => {})
    try {
      return behindLastKey(overlay.open(this.#snapshotSeq, true))
    } finally {
      overlay.close()
    }
  }
}

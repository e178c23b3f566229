/**
 * A range as a transaction sees it: its own writes over the store at its snapshot.
 *
 * Invariants
 * 1. Its own version of a key wins; keys it deleted, singly or by a range, are hidden.
 * 2. The two scans are never compared by sequence number: those of the transaction are its own.
 *
 * Account: `iterators`, for two scans. Cost: one more comparison per entry.
 */
import { compareBytes } from '../../base/bytes.ts'
import { KIND_DELETE } from '../../base/cursor.ts'
import { Scan } from '../scan/entry-scan.ts'
import type { EntryScan, ScanView } from '../scan/entry-scan.ts'

export class OverlayScan implements EntryScan {
  readonly generation: number
  readonly #own: Scan
  readonly #store: Scan
  readonly #reverse: boolean
  /** The scan with the current entry. */
  #top: Scan
  /** Both are on the same key. */
  #isTie = false

  constructor(own: ScanView, ownSeq: number, store: ScanView, snapshotSeq: number, reverse: boolean) {
    this.generation = own.view.generation + store.view.generation
    this.#reverse = reverse
    this.#store = new Scan(store, snapshotSeq, reverse)
    try {
      this.#own = new Scan(own, ownSeq, reverse, true)
    } catch (error) {
      this.#store.close()
      throw error
    }
    this.#top = this.#own
  }

  get valid(): boolean { return this.#top.valid }
  get key(): Uint8Array { return this.#top.key }
  get keyLength(): number { return this.#top.keyLength }
  get kind(): number { return this.#top.kind }
  get value(): Uint8Array { return this.#top.value }
  get valueStart(): number { return this.#top.valueStart }
  get valueEnd(): number { return this.#top.valueEnd }
  get heldBytes(): number { return this.#own.heldBytes + this.#store.heldBytes }
  get isNarrow(): boolean { return this.#own.isNarrow || this.#store.isNarrow }

  seek(key: Uint8Array | undefined): void {
    this.#store.seek(key)
    this.#own.seek(key)
    this.#settle()
  }

  advance(): void {
    this.#step()
    this.#settle()
  }

  close(): void {
    this.#own.close()
    this.#store.close()
  }

  /** Past the current key, in both. */
  #step(): void {
    const isTie = this.#isTie
    this.#top.advance()
    if (isTie) this.#store.advance()
  }

  #settle(): void {
    const own = this.#own
    const store = this.#store
    for (;;) {
      this.#isTie = false
      if (!own.valid || !store.valid) {
        this.#top = own.valid ? own : store
      } else {
        const order = compareBytes(own.key, 0, own.keyLength, store.key, 0, store.keyLength)
        this.#isTie = order === 0
        this.#top = order === 0 || order < 0 !== this.#reverse ? own : store
      }
      const top = this.#top
      if (!top.valid || (top === own ? top.kind !== KIND_DELETE : !own.covers(top.key, top.keyLength))) return
      this.#step()
    }
  }
}

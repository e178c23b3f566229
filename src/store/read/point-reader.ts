/**
 * Point reads: active memtable, sealed ones, then the tree; values are copied out or decoded at once.
 *
 * Invariants
 * 1. The newest version with a sequence number <= the snapshot's wins, unless a newer range tombstone covers it.
 * 2. Returned values share no memory with the store.
 * 3. A row of the row cache is used only while the tree can hold nothing newer of its key (`tree.ts`), and only by reads that see
 *    the whole tree.
 * 4. A large value is read from its file directly into the result, piece by piece.
 */
import { Hit, KIND_DELETE, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { hashKey } from '../../base/hash.ts'
import type { ReadCache } from '../../cache/read-cache.ts'
import { SEQ_MISSED } from '../../table/block/block-source.ts'
import type { BlockSource, MissedBlock } from '../../table/block/block-source.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { decodeValueReference, readValueFile, readValueText } from '../../table/value-file.ts'
import type { StoreState } from '../state/store-state.ts'
import type { LargeValue, Transcoder } from '../../encoding/encoding.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { View } from '../state/store-view.ts'
import type { Tree } from '../state/tree.ts'

/** One in this many reads that look into tables reports it. */
const MANY_GETS_MASK = 0xfff

/** A lookup that stopped at a missing block. */
export interface GivenUp {
  readonly table: TableReader
  readonly offset: number
  readonly storedBytes: number
  readonly tree: Tree
  readonly run: number
  readonly keepsRows: boolean
}

export class PointReader {
  readonly #source: { readonly view: View }
  readonly #blocks: BlockSource
  readonly #cache: ReadCache | undefined
  readonly #hit = new Hit()
  #cover = 0
  /** The tree `find` searches, when memtables had nothing at all. */
  #tree: Tree | undefined
  #keepsRows = false

  /** `source`: a store, or the staged tables of a transaction. `cache`: whose rows are read and kept; without it none are. */
  constructor(source: { readonly view: View }, blocks: BlockSource, cache?: ReadCache) {
    this.#source = source
    this.#blocks = blocks
    this.#cache = cache
  }

  /** After `find` on a deferring source: it stopped at a missing data block, `missed`. */
  get isGivenUp(): boolean { return this.#hit.seq === SEQ_MISSED }

  /** After `find`: whether any version of the key exists, even a deletion. */
  get touched(): boolean { return this.#hit.seq > 0 || this.#cover > 0 }

  /** The visible value of a key, as views valid until the next read or write; undefined: none. */
  find(key: Uint8Array, start: number, end: number, snapshotSeq: number): Hit | undefined {
    const { active, sealed, tree } = this.#source.view
    const hit = this.#hit
    hit.seq = 0
    this.#cover = 0
    this.#tree = undefined
    let done = this.#inMemtable(active, key, start, end, snapshotSeq)
    for (let i = sealed.length - 1; i >= 0 && !done; i--) done = this.#inMemtable(sealed[i]!, key, start, end, snapshotSeq)
    const { newestSeq } = tree
    if (hit.seq < newestSeq && this.#cover < newestSeq) {
      const blocks = this.#blocks
      const cache = this.#cache
      const hash = hashKey(key, start, end)
      const keepsRows = cache !== undefined && hit.seq === 0 && this.#cover === 0 && snapshotSeq >= newestSeq && !tree.hasRanges
      if (keepsRows && this.#inRows(cache, tree, key, start, end, hash, snapshotSeq)) return hit.kind !== KIND_DELETE ? hit : undefined
      if (blocks.retried === undefined && (++blocks.gets & MANY_GETS_MASK) === 0) blocks.onManyGets?.()
      if (hit.seq === 0 && this.#cover === 0 && !tree.hasRanges) this.#tree = tree
      this.#keepsRows = keepsRows
      this.#cover = tree.get(blocks, key, start, end, hash, snapshotSeq, this.#cover, hit)
      if (keepsRows && hit.seq > 0 && hit.kind === KIND_PUT) this.#offer(cache, tree, key, start, end, hash)
    }
    return hit.seq > this.#cover && hit.kind !== KIND_DELETE ? hit : undefined
  }

  /** State to resume a lookup that stopped at this block, if the block alone can decide it. */
  givenUp({ table, offset, storedBytes }: MissedBlock): GivenUp | undefined {
    const tree = this.#tree
    if (tree === undefined || !this.isGivenUp || tree.lastSeq > 0) return undefined
    const run = tree.lastRun
    const reader = tree.runs[run]!.readers.find(candidate => candidate === table)
    return reader === undefined ? undefined : { table: reader, offset, storedBytes, tree, run, keepsRows: this.#keepsRows }
  }

  /**
   * Resume a lookup that stopped at a missing block. Safe because memtables and newer runs had no version visible at this sequence
   * number and cannot gain one, and tables are immutable. Undefined: the block alone does not decide, or its table is gone; call
   * `find`.
   */
  findFrom({ table, offset, storedBytes, tree, run, keepsRows }: GivenUp, key: Uint8Array, snapshotSeq: number): Hit | undefined {
    const hit = this.#hit
    hit.seq = 0
    this.#cover = 0
    this.#tree = undefined
    if (!table.isOpen) return undefined
    const hash = hashKey(key, 0, key.length)
    if (!table.getFrom(this.#blocks, offset, storedBytes, key, 0, key.length, hash, snapshotSeq, hit) || hit.kind === KIND_DELETE) return undefined
    const next = tree.runs[run + 1]
    if (next !== undefined && next.maxSeq > hit.seq) return undefined
    if (keepsRows && tree === this.#source.view.tree && hit.kind === KIND_PUT) this.#offer(this.#cache!, tree, key, 0, key.length, hash)
    return hit
  }

  #offer(cache: ReadCache, tree: Tree, key: Uint8Array, start: number, end: number, hash: number): void {
    cache.beforeOffer()
    cache.rows.offer(tree.space, hash, key, start, end, tree.epoch, this.#hit)
  }

  /** The newest version in the tree, if the row cache can tell. */
  #inRows(cache: ReadCache, tree: Tree, key: Uint8Array, start: number, end: number, hash: number, snapshotSeq: number): boolean {
    const { rows } = cache
    if (!rows.find(tree.space, hash, key, start, end) || rows.epoch < tree.mergedEpoch) return false
    const hit = this.#hit
    if (rows.epoch < tree.epoch) {
      if (tree.getSince(this.#blocks, key, start, end, hash, snapshotSeq, rows.epoch, hit)) {
        rows.hits++
        if (hit.kind === KIND_PUT) rows.offer(tree.space, hash, key, start, end, tree.epoch, hit)
        return true
      }
      // Loaded blocks may have evicted the row.
      if (!rows.find(tree.space, hash, key, start, end)) return false
      rows.renew(tree.epoch)
    }
    rows.hits++
    hit.seq = rows.seq
    hit.kind = KIND_PUT
    hit.value = rows.bytes
    hit.valueStart = rows.valueStart
    hit.valueEnd = rows.valueEnd
    return true
  }

  /** True when older memtables cannot matter. Tables of a large transaction may be newer than a memtable. */
  #inMemtable(slot: MemtableSlot, key: Uint8Array, start: number, end: number, snapshotSeq: number): boolean {
    const ranges = slot.ranges
    if (ranges.size > 0) this.#cover = Math.max(this.#cover, ranges.coveringSeq(key, start, end, snapshotSeq))
    return slot.memtable.get(key, start, end, snapshotSeq, this.#hit) || this.#cover > 0
  }
}

/** What the caller gets for a found value. */
export function decodeValue(core: StoreState, values: Transcoder, kind: number, value: Uint8Array, start: number, end: number): unknown {
  return kind === KIND_VALUE_FILE ? values.decodeLarge(new FileValue(core, value, start, end)) : values.decode(value, start, end)
}

/** How many bytes a found value has, wherever they are. */
export function valueLength(kind: number, value: Uint8Array, start: number, end: number): number {
  return kind === KIND_VALUE_FILE ? decodeValueReference(value, start, end).lengthBytes : end - start
}

class FileValue implements LargeValue {
  readonly #core: StoreState
  readonly #fileNumber: number
  readonly #lengthBytes: number

  constructor(core: StoreState, reference: Uint8Array, start: number, end: number) {
    const { fileNumber, lengthBytes } = decodeValueReference(reference, start, end)
    this.#core = core
    this.#fileNumber = fileNumber
    this.#lengthBytes = lengthBytes
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const { files, engine: { kernels } } = this.#core
    return readValueFile(files.io, this.#core.files.valuePath(this.#fileNumber), this.#fileNumber, this.#lengthBytes, kernels)
  }

  text(): string {
    const { files, engine: { kernels } } = this.#core
    return readValueText(files.io, this.#core.files.valuePath(this.#fileNumber), this.#fileNumber, this.#lengthBytes, kernels)
  }
}

/**
 * Whether a key that a transaction wrote, or read for update, has a newer version in the store than its snapshot.
 *
 * Invariants
 * 1. A deletion, single or of a range, is a newer version.
 * 2. Every key of a range the transaction deleted counts as written, whether it exists or not.
 * 3. A walk runs in slices, between which the store may change: only a key is kept. Writes after its start are a `CommitWatch`'s.
 *
 * Account: `iterators`, for windows during a slice; without memory none. Cost: per key a lookup in memtables and tables newer than
 * the snapshot; nothing if there are none.
 */
import { EMPTY, Hit, MAX_SEQ } from '../../base/cursor.ts'
import type { Cursor } from '../../base/cursor.ts'
import { compareBytes } from '../../base/bytes.ts'
import { SpillwayError } from '../../base/errors.ts'
import { hashKey } from '../../base/hash.ts'
import { MergeCursor } from '../../compaction/merge-cursor.ts'
import { SeekPerStepCursor } from '../../compaction/reread-cursor.ts'
import { RunCursor } from '../../compaction/run-cursor.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { StoreState } from '../state/store-state.ts'
import type { WriteWatcher } from '../state/write-watcher.ts'
import { copyOf } from '../../encoding/encoding.ts'
import type { Operations } from '../api/operation.ts'
import type { ReadSet } from './read-set.ts'
import { PointReader } from '../read/point-reader.ts'
import type { StagedTables } from '../staged/staged-tables.ts'

/** Length of a slice, and keys between two clock reads. */
const SLICE_MS = 5
const LOOK_EVERY = 64

/** Another writer changed a key that a transaction wrote or read for update. `details.key` is the key, as bytes. */
export class ConflictError extends SpillwayError {
  constructor(key: Uint8Array) {
    const text = JSON.stringify(new TextDecoder().decode(key.subarray(0, 60)))
    super(
      'SPILLWAY_CONFLICT',
      `the key ${text} was written by another writer after the transaction had begun; nothing of the transaction was written. Run it again`,
      { details: { key: copyOf(key, 0, key.length) } },
    )
    this.name = 'ConflictError'
  }
}

/** Cursors over some memtables and tables, with a window each if there is memory. */
class Walk {
  readonly cursor: MergeCursor
  readonly #closers: { close(): void }[]

  constructor(core: StoreState, memory: readonly Cursor[], tables: readonly (readonly TableReader[])[], isNarrow: boolean) {
    const runs = isNarrow
      ? tables.length === 0 ? [] : [new SeekPerStepCursor(tables, core.engine.reading.blocks, core.engine.reading.windows, MAX_SEQ)]
      : tables.map(run => new RunCursor(run, core.engine.reading.blocks, core.engine.reading.windows))
    this.#closers = runs
    this.cursor = new MergeCursor([...memory, ...runs])
  }

  close(): void {
    for (const run of this.#closers) run.close()
  }
}

export class Conflicts {
  readonly #core: StoreState
  readonly #hit = new Hit()

  constructor(core: StoreState) {
    this.#core = core
  }

  /** Check the operations of a small transaction. Throws ConflictError. */
  checkOperations(operations: Operations, since: number): void {
    if (this.#core.lastSeq <= since) return
    for (let i = 0; i < operations.count; i++) {
      operations.load(i)
      const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
      if (kind !== KIND_DELETE_RANGE) this.checkKey(key, keyStart, keyEnd, since)
      else for (const _ of this.checkRange(copyOf(key, keyStart, keyEnd), copyOf(value, valueStart, valueEnd), since));
    }
  }

  /** Check every key in these tables, which must not change meanwhile. Yields where the event loop may turn. Throws ConflictError. */
  * checkTables(tables: StagedTables, since: number): Generator<void, void, void> {
    if (this.#core.lastSeq <= since) return
    const memory = [tables.active, ...tables.sealed].map(slot => slot.memtable)
    const runs = tables.tree.runs.map(run => run.pointReaders).filter(readers => readers.length > 0)
    yield* this.#walk(() => ({ memory: memory.map(memtable => memtable.cursor()), runs }), EMPTY, entry => {
      this.checkKey(entry.key, entry.keyStart, entry.keyEnd, since)
      return true
    })
    for (const memtable of memory) for (const { start, end } of memtable.ranges()) yield* this.checkRange(start, end, since)
    for (const run of tables.tree.runs) {
      for (const reader of run.readers) {
        if (reader.ranges.size === 0) continue
        for (const { start, end } of reader.readRanges(this.#core.engine.kernels)) yield* this.checkRange(start, end, since)
      }
    }
  }

  * checkReads(reads: ReadSet, since: number): Generator<void, void, void> {
    for (const key of reads.keys) this.checkKey(key, 0, key.length, since)
    if (reads.tables !== undefined) yield* this.checkTables(reads.tables, since)
  }

  checkKey(key: Uint8Array, start: number, end: number, since: number): void {
    if (this.#hasNewer(key, start, end, since)) throw new ConflictError(key.subarray(start, end))
  }

  /** Check every key of [start, end). */
  * checkRange(start: Uint8Array, end: Uint8Array, since: number): Generator<void, void, void> {
    const core = this.#core
    yield* this.#walk(() => ({
      memory: [core.view.active, ...core.view.sealed].filter(({ memtable }) => memtable.largestSeq > since).map(({ memtable }) => memtable.cursor()),
      runs: core.view.tree.runs.filter(run => run.maxSeq > since && run.pointReaders.length > 0).map(run => run.pointReaders),
    }), start, ({ key, keyStart, keyEnd, seq }) => {
      if (compareBytes(key, keyStart, keyEnd, end, 0, end.length) >= 0) return false
      if (seq > since) throw new ConflictError(key.subarray(keyStart, keyEnd))
      return true
    })
  }

  /** Call `visit` for each entry from a key on, until it returns false. */
  * #walk(
    places: () => { memory: Cursor[], runs: (readonly TableReader[])[] }, from: Uint8Array, visit: (entry: Cursor) => boolean,
  ): Generator<void, void, void> {
    const { clock } = this.#core.host
    let isNarrow = false
    let next: Uint8Array | undefined = from
    while (next !== undefined) {
      const { memory, runs } = places()
      const walk = new Walk(this.#core, memory, runs, isNarrow)
      const { cursor } = walk
      const sliceEndMs = clock.nowMs() + SLICE_MS
      try {
        cursor.seek(next, 0, next.length)
        let more = true
        for (let i = 1; cursor.valid && more; i++) {
          const entry = cursor.current
          more = visit(entry)
          if (more && i % LOOK_EVERY === 0 && clock.nowMs() >= sliceEndMs) {
            next = copyOf(entry.key, entry.keyStart, entry.keyEnd)
            break
          }
          cursor.advance()
        }
        if (!more || !cursor.valid) next = undefined
        else next = successor(next)
      } catch (error) {
        const isRefusal = (error as { code?: unknown }).code === 'SPILLWAY_BUDGET_TOO_SMALL'
        if (!isRefusal || isNarrow) throw error
        // Restart the slice with two keys instead of a window per run.
        isNarrow = true
        continue
      } finally {
        walk.close()
      }
      if (next !== undefined) yield
    }
  }

  #hasNewer(key: Uint8Array, start: number, end: number, since: number): boolean {
    const core = this.#core
    const hit = this.#hit
    for (let i = core.view.sealed.length; i >= 0; i--) {
      const { memtable, ranges } = i === core.view.sealed.length ? core.view.active : core.view.sealed[i]!
      if (memtable.largestSeq <= since) continue
      if (memtable.get(key, start, end, MAX_SEQ, hit) && hit.seq > since) return true
      if (ranges.size > 0 && ranges.coveringSeq(key, start, end, MAX_SEQ) > since) return true
    }
    let hash = -1
    for (const run of core.view.tree.runs) {
      if (run.maxSeq <= since) break
      if (run.ranges.size > 0 && run.ranges.coveringSeq(key, start, end, MAX_SEQ) > since) return true
      const reader = run.find(key, start, end)
      if (reader === undefined || reader.properties.maxSeq <= since) continue
      if (hash < 0) hash = hashKey(key, start, end)
      if (reader.get(core.engine.reading.blocks, key, start, end, hash, MAX_SEQ, hit) && hit.seq > since) return true
    }
    return false
  }
}

/** Sees concurrent writes from the beginning of the check until the commit. */
export class CommitWatch implements WriteWatcher {
  /** A conflicting key. */
  conflict: Uint8Array | undefined
  /** A lookup failed. */
  error: unknown
  /** A write did not name its keys: check again. */
  missed = false
  readonly #own: PointReader
  readonly #tables: StagedTables
  readonly #reads: ReadSet

  constructor(tables: StagedTables, reads: ReadSet) {
    this.#tables = tables
    this.#own = new PointReader(tables, tables.engine.reading.blocks)
    this.#reads = reads
  }

  onWrite(key: Uint8Array, start: number, end: number): void {
    if (this.conflict !== undefined || this.error !== undefined) return
    try {
      if (!this.#tables.isEmpty) this.#own.find(key, start, end, MAX_SEQ)
      if ((!this.#tables.isEmpty && this.#own.touched) || this.#reads.has(key, start, end)) this.conflict = copyOf(key, start, end)
    } catch (error) {
      // The transaction fails, not the other write.
      this.error = error
    }
  }

  onMany(): void {
    this.missed = true
  }

  /** Throws a conflict or error it has seen. */
  check(): void {
    if (this.error !== undefined) throw this.error
    if (this.conflict !== undefined) throw new ConflictError(this.conflict)
  }
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/**
 * The one shape in which sorted entries travel: memtables, tables and merges all speak it.
 *
 * Order: key ascending by unsigned bytes, then sequence number descending, so the newest
 * version of a key comes first.
 *
 * Invariants
 * 1. While `valid`, `key[keyStart, keyEnd)` and `value[valueStart, valueEnd)` are the current
 *    entry's bytes. They are views: they hold until the next call on the same cursor.
 * 2. No method allocates per entry.
 */

/** The key was deleted; the value is empty. */
export const KIND_DELETE = 0
/** The value is the entry's value. */
export const KIND_PUT = 1
/** The value is a reference to a value file (see `table/value-file.ts`). */
export const KIND_VALUE_FILE = 2

export interface Cursor {
  valid: boolean
  key: Uint8Array
  keyStart: number
  keyEnd: number
  /** Sequence number of the version: a safe integer >= 1. */
  seq: number
  kind: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  seekToFirst(): void
  seekToLast(): void
  /** Move to the first entry whose key is >= the given one (its newest version). */
  seek(key: Uint8Array, start: number, end: number): void
  /** Move to the last entry whose key is < the given one (its oldest version). */
  seekBefore(key: Uint8Array, start: number, end: number): void
  next(): void
  prev(): void
}

/** Where a point lookup leaves what it found: reused by the caller, so that a get allocates nothing. */
export class Hit {
  /** 0 = nothing found. */
  seq = 0
  kind: number = KIND_DELETE
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0

  clear(): void {
    this.seq = 0
    this.kind = KIND_DELETE
    this.value = EMPTY
    this.valueStart = 0
    this.valueEnd = 0
  }
}

export const EMPTY: Uint8Array<ArrayBuffer> = new Uint8Array(0)

/** A deletion of every key in [start, end) with a sequence number below `seq`. */
export interface RangeTombstone {
  start: Uint8Array
  end: Uint8Array
  seq: number
}

/** Sequence numbers count from 1; a read "as of now" passes this. */
export const MAX_SEQ: number = Number.MAX_SAFE_INTEGER

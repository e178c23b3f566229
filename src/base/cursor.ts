/**
 * The interface of sorted entries: memtables, tables and merges. Order: key ascending by unsigned bytes, then sequence number
 * descending, so the newest version of a key comes first.
 *
 * Invariants
 * 1. While `valid`, `key[keyStart, keyEnd)` and `value[valueStart, valueEnd)` are views of the current entry, valid until the next
 *    call on the cursor.
 * 2. No method allocates per entry.
 */

/** The value is empty. */
export const KIND_DELETE = 0
export const KIND_PUT = 1
/** The value is a reference to a value file (`table/value-file.ts`). */
export const KIND_VALUE_FILE = 2

export interface Cursor {
  valid: boolean
  key: Uint8Array
  keyStart: number
  keyEnd: number
  /** A safe integer >= 1. */
  seq: number
  kind: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  seekToFirst(): void
  seekToLast(): void
  /** First entry whose key is >= the given one (its newest version). */
  seek(key: Uint8Array, start: number, end: number): void
  /** Last entry whose key is < the given one (its oldest version). */
  seekBefore(key: Uint8Array, start: number, end: number): void
  next(): void
  prev(): void
}

/** Result of a point lookup, reused by the caller so that a get allocates nothing. */
export class Hit {
  /** 0 = not found. */
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

/** Deletes every key in [start, end) with a sequence number below `seq`. */
export interface RangeTombstone {
  start: Uint8Array
  end: Uint8Array
  seq: number
}

/** Snapshot of the newest state. */
export const MAX_SEQ: number = Number.MAX_SAFE_INTEGER

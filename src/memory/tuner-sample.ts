/** Changes since the last sample, and the present sizes. All numbers are finite and >= 0. */
export interface TunerSample {
  /** For the list of decisions only. */
  nowMs: number
  /** Usual intervals this sample covers. Default 1. */
  intervals?: number
  /** Memory of all memtables. */
  writeBytes: number
  /** Memory of the read cache. */
  cacheBytes: number
  minWriteBytes: number
  maxWriteBytes: number
  minCacheBytes: number
  /** Bytes of all tables. */
  dataBytes: number
  /** Cache hits and misses, in blocks. */
  hits: number
  misses: number
  /** Bytes read for the misses. */
  missBytes: number
  /** Misses that found their ghost, and the bytes of those blocks. */
  ghostHits: number
  ghostHitBytes: number
  /** Bytes of the blocks whose ghosts are held: how much more cache they stand for. */
  ghostBytes: number
  /** Bytes requested and bytes admitted: more demand means that merges hold writers back. */
  demandBytes: number
  writtenBytes: number
  /** Bytes written by flushes. */
  flushedBytes: number
  /** Bytes read and written by merges. */
  mergeBytes: number
  /** Gets that looked into tables. Default 0. */
  gets?: number
}

/** What was seen since the last sample, and how things are now. All numbers are finite and >= 0. */
export interface TunerSample {
  /** For the list of decisions only. */
  nowMs: number
  /** Usual intervals that this sample covers, from 1: a store at rest is sampled seldom. Default 1. */
  intervals?: number
  /** Memory of all memtables, the one being filled and those being flushed. */
  writeBytes: number
  /** Memory of the read cache. */
  cacheBytes: number
  minWriteBytes: number
  maxWriteBytes: number
  minCacheBytes: number
  /** Bytes of all tables. */
  dataBytes: number
  /** Blocks found in the cache, and not found. */
  hits: number
  misses: number
  /** Bytes read for the misses. */
  missBytes: number
  /** Misses that found their ghost, and the bytes of those blocks. */
  ghostHits: number
  ghostHitBytes: number
  /** Bytes of the blocks whose ghosts are held now: how much more cache they stand for. */
  ghostBytes: number
  /** Bytes writers asked to write, and those let in: more demand than that means that merges hold writers back. */
  demandBytes: number
  writtenBytes: number
  /** Bytes written by flushes. */
  flushedBytes: number
  /** Bytes read and written by merges. */
  mergeBytes: number
  /** Gets that looked into tables. Default 0. */
  gets?: number
}

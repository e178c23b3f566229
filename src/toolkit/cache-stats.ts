/** What a cache tells of itself. */
import type { PagePoolStats } from '../pages/page-pool-options.ts'
import type { CacheCounters } from './cache-counters.ts'

export interface CacheStats {
  /** Entries in all levels, expired ones that were not met since included. */
  entries: number
  /** Entries in levels 2 and 3. */
  lowerEntries: number
  /** Gets that found a value in level 1, and in levels 2 and 3. */
  hits: number
  lowerHits: number
  misses: number
  /** Share of gets that found a value, from 0 to 1; 0 before the first get. */
  hitRate: number
  /** Misses of keys that were evicted recently. */
  regretted: number
  /** Entries removed because their time was over. */
  expired: number
  sets: number
  deletes: number
  /** Entries that left level 1 for the levels below. */
  demotions: number
  /** Entries that left the cache before their time. */
  evictions: number
  /** Evictions a second since the cache was made. */
  evictionsPerSecond: number
  /** Records lost because the disk was full or failed. */
  lostRecords: number
  /** Mean times of a get, in microseconds, from every 64th; 0: none yet. */
  hitUs: number
  missUs: number
  /** Bytes of level 1 with its table of entries: leased, and the part that holds records. */
  level1Bytes: number
  recordBytes: number
  /** Bytes of the table of entries and the policy. */
  metadataBytes: number
  /** The most level 1 may take. */
  level1LimitBytes: number
  /** Compressed bytes in memory, and on disk. */
  level2Bytes: number
  level3Bytes: number
  /** Pages freed before they were compressed or written. */
  writesElided: number
  /** The error that stopped writing to the scratch file. */
  spillError: string | undefined
}

export interface EntryInfo {
  /** 1: in memory. 2: compressed, in memory or in the scratch file. */
  level: 1 | 2
  keyBytes: number
  valueBytes: number
  /** With its share of the bookkeeping. */
  bytes: number
  /** Absent: it does not expire. */
  expiresInMs?: number
}

/** Sizes of a cache's parts. */
export type CacheSizes = Pick<CacheStats, 'entries' | 'lowerEntries' | 'lostRecords' | 'recordBytes' | 'metadataBytes' | 'level1LimitBytes'> & {
  segmentBytes: number
  pages: PagePoolStats | undefined
}

export function cacheStats(counters: CacheCounters, sizes: CacheSizes): CacheStats {
  const { hits, lowerHits, misses, regretted, expired, sets, deletes, demotions, evictions, hitUs, missUs, elapsedMs } = counters
  const gets = hits + lowerHits + misses
  const { segmentBytes, pages, ...rest } = sizes
  return {
    ...rest, hits, lowerHits, misses, hitRate: gets === 0 ? 0 : (hits + lowerHits) / gets, regretted, expired, sets, deletes, demotions, evictions,
    evictionsPerSecond: elapsedMs === 0 ? 0 : evictions * 1000 / elapsedMs, hitUs, missUs, level1Bytes: segmentBytes + sizes.metadataBytes,
    level2Bytes: pages?.extentBytesResident ?? 0, level3Bytes: pages?.scratchBytes ?? 0, writesElided: pages?.writesElided ?? 0, spillError: pages?.spillError,
  }
}

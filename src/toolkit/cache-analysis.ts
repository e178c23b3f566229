/** What a cache's figures mean: effectiveness, the pattern of its accesses, and what would help. */
import { formatSize } from '../base/sizes.ts'
import type { CacheStats } from './cache-stats.ts'
import type { CacheSettings } from './spill-cache-options.ts'

export interface CacheAnalysis {
  hitRate: number
  /** Time saved by hits, as a share of the time gets would take if all missed; needs timed hits and misses, and counts nothing of what a miss costs outside the cache. */
  effectiveness: number
  /**
   * 'cold': too few gets to tell. 'fits': nothing has to leave. 'reuse': most gets hit. 'too small': many misses were evicted
   * recently. 'scan': misses are new keys.
   */
  pattern: 'cold' | 'fits' | 'reuse' | 'too small' | 'scan'
  /** What would help, most important first. */
  recommendations: string[]
}

const MIN_GETS = 1000
/** Share of misses that were evicted recently from which a larger cache would help. */
const REGRETTED_SHARE = 0.2
const GOOD_HIT_RATE = 0.8
/** Share of bookkeeping from which entries are called small. */
const METADATA_SHARE = 0.25

export function analyze(stats: CacheStats, { policy, level1Bytes, directory, level2Bytes }: Pick<CacheSettings, 'policy' | 'level1Bytes' | 'directory' | 'level2Bytes'>): CacheAnalysis {
  const { hits, lowerHits, misses, hitRate, regretted, demotions, evictions, hitUs, missUs } = stats
  const gets = hits + lowerHits + misses
  const pattern = patternOf(stats, gets)
  const recommendations: string[] = []
  const regrettedShare = misses === 0 ? 0 : regretted / misses
  if (pattern === 'too small') {
    recommendations.push(`Raise the budget: ${percent(regrettedShare)} of the misses are keys that were evicted recently (level 1 has ${formatSize(level1Bytes)})`)
    if (level2Bytes === 0) recommendations.push('Set compressed: true: values that compress well take a fraction of the memory in level 2')
    if (directory === undefined) recommendations.push('Set disk: true: evicted entries stay within reach in a scratch file')
  }
  if ((pattern === 'scan' || pattern === 'too small') && policy !== 'adaptive') {
    recommendations.push(`Use policy: 'adaptive' instead of '${policy}': keys that are read once then leave first`)
  }
  if (pattern === 'fits' && gets >= MIN_GETS && stats.level1Bytes < level1Bytes / 4) {
    recommendations.push(`The budget could be smaller: level 1 uses ${formatSize(stats.level1Bytes)} of ${formatSize(level1Bytes)}`)
  }
  if (stats.lostRecords > 0) recommendations.push(`Check the scratch disk: ${stats.lostRecords} records were lost (${stats.spillError ?? 'it is full'})`)
  if (stats.expired > evictions + demotions && stats.expired > gets / 4) recommendations.push('Raise ttl: more gets meet an expired entry than space is short')
  if (stats.recordBytes > 0 && stats.metadataBytes / (stats.recordBytes + stats.metadataBytes) > METADATA_SHARE && stats.entries >= MIN_GETS) {
    recommendations.push('Entries are small: group several values under one key, so that bookkeeping takes less')
  }
  return { hitRate, effectiveness: missUs > 0 && hitUs > 0 && gets > 0 ? Math.max(0, hitRate * (1 - hitUs / (hitUs + missUs))) : hitRate, pattern, recommendations }
}

function patternOf(stats: CacheStats, gets: number): CacheAnalysis['pattern'] {
  if (gets < MIN_GETS) return 'cold'
  if (stats.evictions + stats.demotions === 0) return 'fits'
  if (stats.hitRate >= GOOD_HIT_RATE) return 'reuse'
  return stats.regretted >= REGRETTED_SHARE * stats.misses ? 'too small' : 'scan'
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

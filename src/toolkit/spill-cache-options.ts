/** Options of `SpillCache`, checked and completed, and how a budget is divided among its levels. */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import { formatSize, parseSize } from '../base/sizes.ts'
import { policyOf } from '../cache/policy/policies.ts'
import type { PolicyName } from '../cache/policy/policy.ts'
import { describe, transcoder } from '../encoding/encoding.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import type { Host } from '../host/host.ts'
import { nodeHost } from '../host/node/node-host.ts'
import { temporaryDirectory } from '../host/node/temporary-directory.ts'
import { Budget } from '../memory/budget.ts'
import { SpillPages } from '../collections/spill-pages.ts'
import { PAGE_BYTES } from './cache-pages.ts'

export interface SpillCacheOptions<K = string, V = string> {
  /** Memory of all levels: bytes, '64 MiB' (default), or a shared `Budget`, of which it takes half of the free part. Minimum 1 MiB. */
  budget?: number | string | Budget | undefined
  /** Which entries leave level 1 first. Default 'adaptive'. */
  policy?: PolicyName | undefined
  /** Milliseconds after which an entry counts as gone. Default: never. */
  ttl?: number | undefined
  /**
   * Level 3: a scratch file in `os.tmpdir()` (true), in a directory, or with a maximum size (default 1 GiB). It does not outlive the
   * process. Default false.
   */
  disk?: boolean | string | { directory?: string | undefined, maxBytes?: number | string | undefined } | undefined
  /** Level 2: entries that leave level 1 stay in memory, compressed, in a quarter of the budget. Default: as `disk`. */
  compressed?: boolean | undefined
  /** Encoding of keys, as of a store. Default 'utf8'. */
  keyEncoding?: ItemEncodingOf<K> | undefined
  /** Encoding of values, as of a store. Default 'utf8'. */
  valueEncoding?: ItemEncodingOf<V> | undefined
  /** @internal For tests. */
  host?: Host | undefined
}

export interface CacheSettings {
  readonly budget: Budget
  readonly policy: PolicyName
  readonly ttlMs: number
  readonly keys: Transcoder
  readonly values: Transcoder
  readonly host: Host
  /** Undefined: without a disk. */
  readonly directory: string | undefined
  /** Bytes of level 1, with the table of entries. */
  readonly level1Bytes: number
  readonly segmentBytes: number
  /** Bytes of level 2; 0: none. */
  readonly level2Bytes: number
  /** Compressed bytes of levels 2 and 3 together. */
  readonly pageBytes: number
}

export const KEY_SCRATCH_BYTES: number = 4 * 1024
export const VALUE_SCRATCH_BYTES: number = 16 * 1024
/** Evicted keys that are remembered, to tell whether a larger cache would have helped. */
export const RECENT_KEYS: number = 8 * 1024
export const CACHE_FIXED_BYTES: number = KEY_SCRATCH_BYTES + VALUE_SCRATCH_BYTES + 8 * RECENT_KEYS
const NAMES = ['budget', 'policy', 'ttl', 'disk', 'compressed', 'keyEncoding', 'valueEncoding', 'host']
const DEFAULT_BUDGET = '64 MiB'
const MIN_BYTES = 1024 * 1024
const MIN_SEGMENT_BYTES = 64 * 1024
const MAX_SEGMENT_BYTES = 2 * 1024 * 1024
const LEVEL2_SHARE = 0.25
const DEFAULT_DISK_BYTES = 1024 ** 3
/** Places of records on disk have 32 bits, in units of 8 bytes. */
const MAX_DISK_BYTES = 32 * 1024 ** 3
/** Bookkeeping of the page pool: pages, extents, the page being filled. */
const POOL_BYTES = 128 * 1024

/** Throws INVALID_ARGUMENT, BUDGET_TOO_SMALL. */
export function cacheSettings(options: SpillCacheOptions<any, any>): CacheSettings {
  checkOptions(options, NAMES, 'SpillCache')
  const { budget = DEFAULT_BUDGET, policy = 'adaptive', disk = false, keyEncoding = 'utf8', valueEncoding = 'utf8', host = nodeHost() } = options
  policyOf(policy)
  const shared = budget instanceof Budget ? budget : new Budget(budget)
  const bytes = budget instanceof Budget ? Math.floor(shared.freeBytes / 2) : shared.totalBytes
  const { directory, maxBytes } = diskOptions(disk)
  const { compressed = directory !== undefined } = options
  if (typeof compressed !== 'boolean') throw invalidArgument(`compressed must be true or false, not ${describe(compressed)}`)
  const hasPages = compressed || directory !== undefined
  const fixedBytes = CACHE_FIXED_BYTES + (hasPages ? SpillPages.fixedBytes + 2 * PAGE_BYTES + POOL_BYTES : 0)
  if (bytes < MIN_BYTES + fixedBytes - CACHE_FIXED_BYTES) {
    throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
      `a cache needs at least ${formatSize(MIN_BYTES + fixedBytes - CACHE_FIXED_BYTES)}${hasPages ? ' with levels 2 and 3' : ''}, but has ${formatSize(bytes)}. ${shared.advice()}`,
      { details: { bytes, neededBytes: MIN_BYTES + fixedBytes - CACHE_FIXED_BYTES } })
  }
  const level2Bytes = compressed ? Math.floor((bytes - fixedBytes) * LEVEL2_SHARE) : 0
  const level1Bytes = bytes - fixedBytes - level2Bytes
  const segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, 2 ** Math.floor(Math.log2(level1Bytes / 16))))
  return {
    budget: shared, policy, ttlMs: checkedTtl(options.ttl), host, directory, level1Bytes, segmentBytes, level2Bytes,
    pageBytes: level2Bytes + (directory === undefined ? 0 : maxBytes),
    keys: transcoder(keyEncoding, 'keyEncoding'), values: transcoder(valueEncoding, 'valueEncoding'),
  }
}

/** Infinity: never. Throws INVALID_ARGUMENT. */
export function checkedTtl(ttl: unknown): number {
  if (ttl === undefined) return Infinity
  if (typeof ttl !== 'number' || !(ttl > 0)) {
    throw invalidArgument(`ttl must be a number of milliseconds above 0, not ${describe(ttl)}. Leave it out for entries that never expire, use delete to remove one`)
  }
  return ttl
}

function diskOptions(disk: unknown): { directory: string | undefined, maxBytes: number } {
  if (disk === false) return { directory: undefined, maxBytes: 0 }
  if (disk === true) return { directory: temporaryDirectory(), maxBytes: DEFAULT_DISK_BYTES }
  if (typeof disk === 'string' && disk !== '') return { directory: disk, maxBytes: DEFAULT_DISK_BYTES }
  if (typeof disk !== 'object' || disk === null) throw invalidArgument(`disk must be true, false, a directory or { directory, maxBytes }, not ${describe(disk)}`)
  checkOptions(disk, ['directory', 'maxBytes'], 'disk of SpillCache')
  const { directory = temporaryDirectory(), maxBytes = DEFAULT_DISK_BYTES } = disk as { directory?: string, maxBytes?: number | string }
  if (typeof directory !== 'string' || directory === '') throw invalidArgument(`disk.directory must be a path, not ${describe(directory)}`)
  const bytes = parseSize(maxBytes, 'disk.maxBytes')
  if (bytes > MAX_DISK_BYTES) throw invalidArgument(`disk.maxBytes is ${formatSize(bytes)}; a cache has at most ${formatSize(MAX_DISK_BYTES)} on disk`)
  return { directory, maxBytes: bytes }
}

import type { Kernels } from '../kernels/kernels.ts'
import type { JobRunner } from '../host/host.ts'
import type { Account } from '../memory/budget.ts'
import type { ScratchFile } from './scratch-file.ts'

export interface PageOptions {
  /** Age in the tree, 0 to 31; deeper pages are evicted first. Default 0. */
  depth?: number
  /** Freed soon: evicted last, never by a job. Default false. */
  shortLived?: boolean
  /** Does not compress: stored uncompressed, in the file. Default false. */
  asIs?: boolean
}

export interface PagePoolOptions {
  /** Regions of at least 4 KiB; 64 KiB compress best. */
  kernels: Kernels
  /** File for evicted pages; without it only the tier takes them. Not closed by the pool. */
  scratch: ScratchFile | undefined
  /** Bytes of pages in memory. Default: the budget. */
  limitBytes?: number
  /** Evicted pages stay in memory, compressed, while the pool takes less than this many bytes. Default 0. */
  targetRssBytes?: number
  /** Default: the pool's account. */
  tierAccount?: Account
  /** Compresses pages ahead of eviction. Must know the jobs of `page-jobs.ts`. */
  runner?: JobRunner
  /** Default 3. */
  jobPriority?: number
  /** Bytes shared with the jobs. Default 1 MiB, at most an eighth of the limit. */
  stagingBytes?: number
  /** `maintain` stores pages ahead of eviction. Default false. */
  eagerBacking?: boolean
  /** For tests: overwrite freed memory and extents. */
  poison?: boolean
}

export interface PagePoolStats {
  inserts: number
  frees: number
  /** Pages freed before they were compressed or written. */
  writesElided: number
  evictionsCompressing: number
  evictionsCheap: number
  /** Pages stored at insert, without memory for them. */
  bornEvicted: number
  /** Admissions into free memory, in place of another page, denied. */
  admissionsBudget: number
  admissionsSteal: number
  admissionsDenied: number
  spillsScheduled: number
  spillsCancelled: number
  eagerBacks: number
  eagerCancelled: number
  pageOuts: number
  /** Reads of evicted pages. */
  readFaults: number
  warmReuses: number
  extentsWritten: number
  extentBytesWritten: number
  /** Writes tried on a full disk. */
  probes: number
  pages: number
  pinnedPages: number
  residentPages: number
  residentBytes: number
  warmBytes: number
  oversizeBytes: number
  /** Copies for pins of pages that could not be admitted. */
  bounceBytes: number
  /** The tier's memory, and the extents in it. */
  extentBytesResident: number
  extentPayloadBytesResident: number
  stagingBytes: number
  /** In whole 4 KiB units. */
  scratchBytes: number
  scratchFileBytes: number
  isSpillBlocked: boolean
  /** The error that stopped writing. */
  spillError: string | undefined
}

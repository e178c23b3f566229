import type { Kernels } from '../kernels/kernels.ts'
import type { JobRunner } from '../host/host.ts'
import type { Account } from '../memory/budget.ts'
import type { ScratchFile } from './scratch-file.ts'

export interface PageOptions {
  /** 0 to 31; deeper pages are evicted first. Default 0. */
  depth?: number
  /** Freed soon: evicted last, never by a job. Default false. */
  shortLived?: boolean
  /** Stored uncompressed, in the file. Default false. */
  asIs?: boolean
}

export interface PagePoolOptions {
  /** Regions of at least 4 KiB; 64 KiB compress best. */
  kernels: Kernels
  /** Undefined: only the tier takes evicted pages. */
  scratch: ScratchFile | undefined
  /** For pages in memory. Default: the budget. */
  limitBytes?: number
  /** Evicted pages stay in memory, compressed, while the pool takes fewer bytes. Default 0. */
  targetRssBytes?: number
  /** Default: the pool's account. */
  tierAccount?: Account
  /** Compresses pages ahead of eviction. Must know the jobs of `page-jobs.ts`. */
  runner?: JobRunner
  /** Default 3. */
  jobPriority?: number
  /** Shared with the jobs. Default 1 MiB, at most an eighth of the limit. */
  stagingBytes?: number
  /** `maintain` stores pages ahead of eviction. Default false. */
  eagerBacking?: boolean
  /** For tests: overwrite freed memory and extents. */
  poison?: boolean
}

/** Counters since the pool was made, and current sizes. */
export interface PagePoolStats {
  /** Pages inserted. */
  inserts: number
  /** Pages freed. */
  frees: number
  /** Pages freed before they were compressed or written. */
  writesElided: number
  /** Evictions that stored the page. */
  evictionsCompressing: number
  /** Evictions of pages already stored. */
  evictionsCheap: number
  /** Pages stored at insert, without memory for them. */
  bornEvicted: number
  /** Pages brought back into free memory. */
  admissionsBudget: number
  /** Pages brought back in place of another page. */
  admissionsSteal: number
  /** Pages not brought back, without memory. */
  admissionsDenied: number
  /** Jobs queued to store pages. */
  spillsScheduled: number
  /** Jobs cancelled. */
  spillsCancelled: number
  /** Pages stored ahead of eviction. */
  eagerBacks: number
  /** Eager jobs cancelled. */
  eagerCancelled: number
  /** Extents moved from memory to the file. */
  pageOuts: number
  /** Reads of evicted pages. */
  readFaults: number
  /** Free buffers reused. */
  warmReuses: number
  /** Extents written to the file. */
  extentsWritten: number
  /** Bytes of those. */
  extentBytesWritten: number
  /** Writes tried on a full disk. */
  probes: number
  /** Pages in the pool. */
  pages: number
  /** Pages pinned. */
  pinnedPages: number
  /** Pages in memory. */
  residentPages: number
  /** Bytes of pages in memory. */
  residentBytes: number
  /** Bytes of free buffers. */
  warmBytes: number
  /** Bytes of pages above 2 MiB. */
  oversizeBytes: number
  /** Bytes of copies for pins. */
  bounceBytes: number
  /** Bytes of compressed pages in memory. */
  extentBytesResident: number
  /** Bytes of those in use. */
  extentPayloadBytesResident: number
  /** Bytes shared with jobs. */
  stagingBytes: number
  /** Bytes in use in the file. */
  scratchBytes: number
  /** Bytes of the file. */
  scratchFileBytes: number
  /** True on a full disk, or after a write error. */
  isSpillBlocked: boolean
  /** The error that stopped writing. */
  spillError: string | undefined
}

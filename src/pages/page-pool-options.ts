/** What a page pool is given, and what it counts. */
import type { Kernels } from '../kernels/kernels.ts'
import type { JobRunner } from '../host/host.ts'
import type { Account } from '../memory/budget.ts'
import type { ScratchFile } from './scratch-file.ts'

export interface PageOptions {
  /** Age in the tree, 0 to 31 (more counts as 31); deeper is evicted first. Default 0. */
  depth?: number
  /** Will be freed soon: evicted last, and never by a job. Default false. */
  shortLived?: boolean
  /** Not worth compressing: stored as it is, in the file. Default false. */
  asIs?: boolean
}

export interface PagePoolOptions {
  /** At least 4 KiB a region; 64 KiB and more compress best. */
  kernels: Kernels
  /** Where evicted pages go; without one only the tier takes them. The pool does not close it. */
  scratch: ScratchFile | undefined
  /** Bytes of pages in memory; default as many as the budget gives. */
  limitBytes?: number
  /** Evicted pages stay in memory, compressed, while all the pool's memory is below this. Default 0: they go to the file at once. */
  targetRssBytes?: number
  /** What the compressed tier is leased from; default the pool's account. */
  tierAccount?: Account
  /** Compresses pages before room is needed; its module must hold the jobs of `page-jobs.ts`. */
  runner?: JobRunner
  /** The priority of those jobs; default 3. */
  jobPriority?: number
  /** Memory shared with the jobs, beside their kernels; default 1 MiB, at most an eighth of the limit. */
  stagingBytes?: number
  /** `maintain` compresses pages before they have to go. Default false. */
  eagerBacking?: boolean
  /** For tests: what is freed is overwritten with a pattern. */
  poison?: boolean
}

/** Counters since the start, and bytes now. */
export interface PagePoolStats {
  inserts: number
  frees: number
  /** Pages freed that were never compressed or written. */
  writesElided: number
  evictionsCompressing: number
  evictionsCheap: number
  /** Pages inserted that went out at once, for want of memory. */
  bornEvicted: number
  /** Admissions into free room, by taking the place of another page, and refused. */
  admissionsBudget: number
  admissionsSteal: number
  admissionsDenied: number
  spillsScheduled: number
  spillsCancelled: number
  eagerBacks: number
  eagerCancelled: number
  /** Extents moved from memory to the file. */
  pageOuts: number
  /** Reads that found the page evicted. */
  readFaults: number
  warmReuses: number
  /** Extents written to the file. */
  extentsWritten: number
  extentBytesWritten: number
  /** Writes tried while the disk was full. */
  probes: number
  pages: number
  pinnedPages: number
  residentPages: number
  residentBytes: number
  warmBytes: number
  oversizeBytes: number
  /** Copies for pins that found no room. */
  bounceBytes: number
  /** Memory of the compressed tier, and what extents in it need of that. */
  extentBytesResident: number
  extentPayloadBytesResident: number
  stagingBytes: number
  /** Extents in the file, in whole units. */
  scratchBytes: number
  scratchFileBytes: number
  isSpillBlocked: boolean
  /** What stopped writing for good. */
  spillError: string | undefined
}

/**
 * What a profiler sees of the JavaScript engine and the process: sizes of heap spaces, collections of garbage, allocation sites, the
 * malloc in use. `node/node-runtime.ts` is the real one, `sim/sim-runtime.ts` is set by tests.
 */
import type { HostClock, HostScheduler } from './host.ts'

export interface HeapSpace {
  name: string
  /** Live objects, and garbage that was not collected yet. */
  usedBytes: number
  /** Memory really used for the space. */
  physicalBytes: number
}

export interface ProcessMemory {
  rssBytes: number
  heapUsedBytes: number
  heapTotalBytes: number
  heapLimitBytes: number
  /** Outside the heap, held by objects on it; ArrayBuffers included. */
  externalBytes: number
  arrayBufferBytes: number
  /** Allocated by V8 itself with malloc. */
  mallocedBytes: number
}

/** 'start' begins an incremental collection of the old generation, which ends with an 'old'. 'weak' runs callbacks. */
export type CollectionKind = 'young' | 'old' | 'start' | 'weak'

/** One pause of the main thread. */
export interface CollectionEvent {
  kind: CollectionKind
  /** On the host clock. */
  startMs: number
  durationMs: number
  /** Asked for by the program (`gc()`), or a last resort before running out of memory. */
  isForced: boolean
  /** Caused by memory outside the heap, such as Buffers. V8 says so from Node 24 on. */
  isExternal: boolean
}

/** Bytes that collections gave back since the last look. */
export interface ReclaimedBytes {
  youngBytes: number
  oldBytes: number
  /** Collections these figures come from. */
  collections: number
}

/** Watches collections until it is stopped. */
export interface CollectionWatch {
  /** Undefined: this runtime does not tell. */
  takeReclaimed(): ReclaimedBytes | undefined
  stop(): void
}

/** Bytes allocated at one place of the program, estimated from samples. */
export interface AllocationSite {
  /** "name (file:line:column)". */
  site: string
  bytes: number
}

export interface HeapProfile {
  /** Sites since the start, the largest first. */
  read(limit: number): AllocationSite[]
  stop(): void
}

export type MallocName = 'glibc' | 'musl' | 'jemalloc' | 'mimalloc' | 'tcmalloc' | 'system'

export interface MallocInUse {
  name: MallocName
  /** The library that provides it; undefined: the C library, or not known. */
  file: string | undefined
  /** How it was found out. */
  how: string
}

export interface Runtime {
  readonly clock: HostClock
  readonly scheduler: HostScheduler
  /** Major version of Node. */
  readonly nodeMajor: number
  /** Flags this process was started with. */
  readonly startFlags: readonly string[]
  /** Spaces of this thread's heap. */
  heapSpaces(): HeapSpace[]
  memory(): ProcessMemory
  watchCollections(onEvent: (event: CollectionEvent) => void): CollectionWatch
  /** Sample allocations, one per `intervalBytes` on average. Throws UNAVAILABLE where there is no inspector. */
  profileHeap(intervalBytes: number): HeapProfile
  /** Change a flag of V8, for the whole process. False: this runtime has no flags. */
  setFlag(flag: string): boolean
  malloc(): MallocInUse
}


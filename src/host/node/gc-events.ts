/**
 * Collections of this thread's heap as they happen: pauses from a PerformanceObserver, bytes from V8's GCProfiler.
 *
 * Invariants
 * 1. Events arrive in later turns of the event loop; their times are those of the collection.
 * 2. V8 keeps 3 KiB a collection until `takeReclaimed`: call it every second or so.
 * 3. Bytes are those on the heap. Memory of ArrayBuffers is freed after the collection, by another thread, so it is not counted.
 *
 * Cost: 1 us an event, 50 us a collection for its bytes.
 */
import { PerformanceObserver, constants } from 'node:perf_hooks'
import * as v8 from 'node:v8'
import type { CollectionEvent, CollectionKind, CollectionWatch, ReclaimedBytes } from '../runtime.ts'

const { NODE_PERFORMANCE_GC_FLAGS_FORCED: FORCED, NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE: LAST_RESORT } = constants
/** V8 sets it from Node 24 on. */
const EXTERNAL = constants.NODE_PERFORMANCE_GC_FLAGS_ALL_EXTERNAL_MEMORY

/** In Node 22 and later kind 2 is a young collection that marks. */
const MINOR_MARKING = 2

interface Profile { statistics: { gcType: string, beforeGC: HeapState, afterGC: HeapState }[] }
interface HeapState { heapStatistics: { usedHeapSize: number } }
interface Profiler { start(): void, stop(): Profile | undefined }
type ProfilerClass = new () => Profiler

export function watchCollections(onEvent: (event: CollectionEvent) => void): CollectionWatch {
  const deliver = (entries: { startTime: number, duration: number, detail?: unknown }[]): void => {
    for (const entry of entries) onEvent(eventOf(entry))
  }
  const observer = new PerformanceObserver(list => deliver(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  let profiler = startProfiler()
  return {
    takeReclaimed() {
      deliver(observer.takeRecords())
      if (profiler === undefined) return undefined
      const profile = profiler.stop()
      profiler = startProfiler()
      return sumOf(profile)
    },
    stop() {
      observer.disconnect()
      profiler?.stop()
      profiler = undefined
    },
  }
}

/** Undefined where the runtime has none: Bun, Deno. */
function startProfiler(): Profiler | undefined {
  const { GCProfiler } = v8 as { GCProfiler?: ProfilerClass }
  if (GCProfiler === undefined) return undefined
  try {
    const profiler = new GCProfiler()
    profiler.start()
    return profiler
  } catch {
    return undefined
  }
}

/** @internal */
export function eventOf({ startTime, duration, detail }: { startTime: number, duration: number, detail?: unknown }): CollectionEvent {
  const { kind = 0, flags = 0 } = (detail ?? {}) as { kind?: number, flags?: number }
  return {
    kind: kindOf(kind), startMs: startTime, durationMs: duration,
    isForced: (flags & FORCED) !== 0 || (flags & LAST_RESORT) !== 0, isExternal: (flags & EXTERNAL) !== 0,
  }
}

function kindOf(kind: number): CollectionKind {
  switch (kind) {
    case constants.NODE_PERFORMANCE_GC_MINOR: return 'young'
    case MINOR_MARKING: return 'young'
    case constants.NODE_PERFORMANCE_GC_INCREMENTAL: return 'start'
    case constants.NODE_PERFORMANCE_GC_WEAKCB: return 'weak'
    default: return 'old'
  }
}

/** @internal A heap can be larger afterwards: other threads allocate, and a young collection promotes. */
export function sumOf(profile: Profile | undefined): ReclaimedBytes {
  const sum: ReclaimedBytes = { youngBytes: 0, oldBytes: 0, collections: 0 }
  for (const { gcType, beforeGC, afterGC } of profile?.statistics ?? []) {
    const bytes = Math.max(0, beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize)
    if (gcType === 'Scavenge' || gcType.startsWith('Minor')) sum.youngBytes += bytes
    else sum.oldBytes += bytes
    sum.collections++
  }
  return sum
}

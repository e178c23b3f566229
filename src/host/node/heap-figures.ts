/** Sizes of V8's spaces and of the process. Cost: 10 us for the spaces, 10 us for the process. */
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import type { HeapSpace, ProcessMemory } from '../runtime.ts'

export function heapSpaces(): HeapSpace[] {
  return getHeapSpaceStatistics().map(space => ({ name: space.space_name, usedBytes: space.space_used_size, physicalBytes: space.physical_space_size }))
}

export function processMemory(): ProcessMemory {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
  const { heap_size_limit, malloced_memory } = getHeapStatistics()
  return {
    rssBytes: rss, heapUsedBytes: heapUsed, heapTotalBytes: heapTotal, heapLimitBytes: heap_size_limit,
    externalBytes: external, arrayBufferBytes: arrayBuffers, mallocedBytes: malloced_memory,
  }
}

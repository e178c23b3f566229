/** This process: its heap, its collections, its malloc. */
import { setFlagsFromString } from 'node:v8'
import type { Runtime } from '../runtime.ts'
import { mallocInUse } from './allocator.ts'
import { nodeClock } from './clock.ts'
import { watchCollections } from './gc-events.ts'
import { heapSpaces, processMemory } from './heap-figures.ts'
import { profileHeap } from './heap-profile.ts'
import { nodeScheduler } from './scheduler.ts'

export const nodeRuntime: Runtime = {
  clock: nodeClock,
  scheduler: nodeScheduler,
  nodeMajor: Number(process.versions.node.split('.')[0]),
  get startFlags() { return [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/).filter(flag => flag !== '')] },
  heapSpaces,
  memory: processMemory,
  watchCollections,
  profileHeap,
  setFlag(flag) {
    try {
      setFlagsFromString(flag)
      return true
    } catch {
      return false
    }
  },
  malloc: mallocInUse,
}

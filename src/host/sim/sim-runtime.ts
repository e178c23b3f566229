/** An engine and process whose figures a test sets, on simulated time. */
import type { AllocationSite, CollectionEvent, CollectionWatch, HeapProfile, HeapSpace, MallocInUse, ProcessMemory, ReclaimedBytes, Runtime } from '../runtime.ts'
import { SimTime } from './sim-time.ts'

const MIB = 1024 * 1024

export class SimRuntime implements Runtime {
  readonly clock: SimTime
  readonly scheduler: SimTime
  nodeMajor = 20
  startFlags: string[] = []
  spaces: HeapSpace[] = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 2 * MIB }, { name: 'old_space', usedBytes: 4 * MIB, physicalBytes: 5 * MIB }]
  process: ProcessMemory = {
    rssBytes: 50 * MIB, heapUsedBytes: 5 * MIB, heapTotalBytes: 7 * MIB, heapLimitBytes: 4096 * MIB,
    externalBytes: MIB, arrayBufferBytes: 0, mallocedBytes: MIB / 4,
  }
  mallocInUse: MallocInUse = { name: 'glibc', file: undefined, how: 'set by a test' }
  sites: AllocationSite[] = []
  /** Undefined: this runtime does not tell. */
  reclaimed: ReclaimedBytes | undefined = { youngBytes: 0, oldBytes: 0, collections: 0 }
  hasFlags = true
  readonly flags: string[] = []
  profiles = 0
  readonly #watchers = new Set<(event: CollectionEvent) => void>()

  constructor(time: SimTime = new SimTime()) {
    this.clock = this.scheduler = time
  }

  get watchers(): number { return this.#watchers.size }

  heapSpaces(): HeapSpace[] { return this.spaces }
  memory(): ProcessMemory { return this.process }
  malloc(): MallocInUse { return this.mallocInUse }

  /** A collection takes place now. */
  collect(event: Partial<CollectionEvent>): void {
    const whole: CollectionEvent = { kind: 'young', startMs: this.clock.nowMs(), durationMs: 1, isForced: false, isExternal: false, ...event }
    for (const watcher of this.#watchers) watcher(whole)
  }

  watchCollections(onEvent: (event: CollectionEvent) => void): CollectionWatch {
    this.#watchers.add(onEvent)
    return {
      takeReclaimed: () => {
        const { reclaimed } = this
        if (reclaimed !== undefined) this.reclaimed = { youngBytes: 0, oldBytes: 0, collections: 0 }
        return reclaimed
      },
      stop: () => { this.#watchers.delete(onEvent) },
    }
  }

  profileHeap(): HeapProfile {
    this.profiles++
    return { read: limit => this.sites.slice(0, limit), stop: () => { this.profiles-- } }
  }

  setFlag(flag: string): boolean {
    if (this.hasFlags) this.flags.push(flag)
    return this.hasFlags
  }
}

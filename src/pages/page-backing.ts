/**
 * Stores pages outside eviction: inserts without memory, and pages backed ahead of need by jobs or `maintain`.
 *
 * Invariants
 * 1. A page with a job is IN_FLIGHT: in memory, in no queue. Cancelling returns it to UNBACKED.
 * 2. When its job ends the page is evicted, or BACKED if it was read meanwhile or the job was eager.
 * 3. On a full disk, failed inserts probe at growing intervals, and every `maintain` probes.
 */
import type { Account } from '../memory/budget.ts'
import type { ExtentStore } from './extent-store.ts'
import type { PageCounters } from './page-counters.ts'
import type { PagePoolOptions } from './page-pool-options.ts'
import type { PageResidency } from './page-residency.ts'
import { BACKED, EVICTED, IN_FLIGHT, UNBACKED } from './page.ts'
import type { Page } from './page.ts'
import { SpillJobs } from './spill-jobs.ts'
import type { SpillJob } from './spill-jobs.ts'

const DEFAULT_STAGING_BYTES = 2 ** 20
const JOB_PRIORITY = 3
const MAX_BETWEEN_PROBES = 256

export class PageBacking {
  readonly #residency: PageResidency
  readonly #store: ExtentStore
  readonly #counters: PageCounters
  readonly #jobs: SpillJobs | undefined
  readonly #isEager: boolean
  #failedInserts = 0
  #probeAfter = 1

  constructor(account: Account, residency: PageResidency, store: ExtentStore, counters: PageCounters, options: PagePoolOptions) {
    this.#residency = residency
    this.#store = store
    this.#counters = counters
    this.#isEager = options.eagerBacking === true
    if (options.runner === undefined) return
    const stagingBytes = Math.min(options.stagingBytes ?? DEFAULT_STAGING_BYTES, Math.floor(residency.limitBytes / 8))
    this.#jobs = new SpillJobs(options.runner, account, store.pieceBytes, stagingBytes, options.jobPriority ?? JOB_PRIORITY,
      (job, page, bytes, start, end) => { this.#jobEnded(job, page, bytes, start, end) })
    residency.takeFromJobs = () => this.#takeOldest()
  }

  get stagingBytes(): number { return this.#jobs?.stagingBytes ?? 0 }

  /** False without space. */
  storeNew(page: Page, source: Uint8Array, start: number): boolean {
    if (this.#store.isBlocked && ++this.#failedInserts >= this.#probeAfter) {
      this.#failedInserts = 0
      this.#probeAfter = Math.min(this.#probeAfter * 2, MAX_BETWEEN_PROBES)
      this.#store.allowProbe()
    }
    if (!this.#store.encode(page, source, start)) return false
    page.state = EVICTED
    this.#probeAfter = 1
    this.#failedInserts = 0
    this.#counters.bornEvicted++
    return true
  }

  insertSucceeded(): void { this.#failedInserts = 0 }

  collect(): void {
    this.#jobs?.pump()
    if (this.#store.isBlocked && this.#store.error === undefined) this.#probe()
  }

  backAhead(): void {
    if (this.#isEager && (this.#jobs?.live ?? 0) === 0) this.#backOne()
  }

  /** Queue the excess over seven eighths of the limit that is not free to evict. */
  scheduleSpills(): void {
    const jobs = this.#jobs
    const residency = this.#residency
    if (jobs === undefined || this.#store.isBlocked || !Number.isFinite(residency.limitBytes)) return
    const maxBytes = residency.limitBytes - residency.limitBytes / 8
    while (residency.bytes - residency.queues.cleanBytes - jobs.liveBytes > maxBytes) {
      const page = residency.queues.sweepUnbacked()
      if (page === undefined || !this.#schedule(page, false)) return
      this.#counters.spillsScheduled++
    }
  }

  cancelUnlessEager(page: Page): void {
    if (!(page.job as SpillJob).isEager) this.cancel(page)
  }

  cancel(page: Page): void {
    const { isEager } = this.#jobs!.cancel(page)
    if (isEager) this.#counters.eagerCancelled++
    else this.#counters.spillsCancelled++
    page.state = UNBACKED
  }

  close(): void {
    this.#jobs?.close()
  }

  #takeOldest(): Page | undefined {
    const page = this.#jobs!.takeOldest()
    if (page === undefined) return undefined
    this.#counters.spillsCancelled++
    page.state = UNBACKED
    return page
  }

  #probe(): void {
    this.#store.allowProbe()
    const page = this.#residency.queues.nextUnbacked()
    if (page === undefined) this.#store.probe()
    else this.#back(page)
  }

  #back(page: Page): boolean {
    if (!this.#store.encode(page, page.slot!, 0)) return false
    const { queues } = this.#residency
    queues.remove(page)
    page.state = BACKED
    queues.add(page)
    return true
  }

  #backOne(): void {
    const page = this.#residency.queues.nextUnbacked()
    if (page === undefined || this.#store.isBlocked) return
    if (this.#jobs !== undefined && this.#schedule(page, true)) return
    if (this.#back(page)) this.#counters.eagerBacks++
  }

  /** Skips `asIs` pages: writing is faster than a job. */
  #schedule(page: Page, isEager: boolean): boolean {
    const jobs = this.#jobs!
    if (page.isAsIs || !jobs.canSchedule(page)) return false
    this.#residency.queues.remove(page)
    page.state = IN_FLIGHT
    jobs.schedule(page, isEager, this.#store.takeSerial(page.length))
    return page.job !== undefined
  }

  #jobEnded(job: SpillJob, page: Page, bytes: Uint8Array, start: number, end: number): void {
    page.state = UNBACKED
    if (end > start && this.#store.store(page, job.serial, bytes, start, end)) {
      page.state = BACKED
      if (job.isEager) {
        this.#counters.eagerBacks++
      } else if (!page.isTouched) {
        this.#counters.evictionsCompressing++
        this.#residency.drop(page)
        return
      }
    }
    this.#residency.queues.add(page)
  }
}

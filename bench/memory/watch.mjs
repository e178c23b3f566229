// Inside the child: samples the ledger every N operations and on a timer, and records broken promises.
// It also notes what the process held when its RSS was largest, so that an excess can be told apart.
import { getHeapSpaceStatistics } from 'node:v8'

const EVERY_OPERATIONS = 5000
const TIMER_MS = 20
const STEP_BYTES = 512 * 1024
const MAX_VIOLATIONS = 5

export class Watch {
  #db
  #timer
  #sinceSample = 0
  #samples = 0
  #ledgerPeakBytes = 0
  #highWaterBytes = 0
  #violations = []
  #violationCount = 0
  #peak = { rss: 0 }
  #laterPeakRss = 0
  /** Called with every report of the ledger. */
  onReport

  constructor() {
    this.#timer = setInterval(() => this.sample(), TIMER_MS)
  }

  /** The store whose ledger is looked at. Of several on one budget any will do. */
  follow(db) {
    this.#db = db
    this.sample()
  }

  /** `operations` were done: sample if it is time. */
  tick(operations) {
    this.#sinceSample += operations
    if (this.#sinceSample < EVERY_OPERATIONS) return
    this.#sinceSample = 0
    this.sample()
  }

  sample() {
    const rss = process.memoryUsage.rss()
    if (rss > this.#laterPeakRss) this.#laterPeakRss = rss
    const report = this.#db?.memory?.()
    if (report !== undefined) this.#check(report)
    if (rss > this.#peak.rss + STEP_BYTES) this.#peak = composition(report)
  }

  /** Restarts the RSS peak. */
  forget() {
    this.#laterPeakRss = 0
  }

  get laterPeakRss() { return this.#laterPeakRss }

  stop() {
    this.sample()
    clearInterval(this.#timer)
    this.#db = undefined
  }

  result() {
    return {
      samples: this.#samples, ledgerPeakBytes: this.#ledgerPeakBytes, highWaterBytes: this.#highWaterBytes,
      violations: this.#violations, violationCount: this.#violationCount, atPeak: this.#peak,
    }
  }

  #check(report) {
    this.#samples++
    const { usedBytes, budgetBytes, highWaterBytes } = report
    if (usedBytes > this.#ledgerPeakBytes) this.#ledgerPeakBytes = usedBytes
    if (highWaterBytes > this.#highWaterBytes) this.#highWaterBytes = highWaterBytes
    if (usedBytes > budgetBytes) this.#violate(`${usedBytes} bytes used of ${budgetBytes}`)
    let sum = 0
    for (const name in report.accounts) {
      const { bytes } = report.accounts[name]
      if (!(bytes >= 0)) this.#violate(`account ${name} holds ${bytes} bytes`)
      sum += bytes
    }
    if (sum !== usedBytes) this.#violate(`the accounts hold ${sum} bytes, the budget says ${usedBytes}`)
    this.onReport?.(report)
  }

  #violate(message) {
    if (this.#violationCount++ < MAX_VIOLATIONS) this.#violations.push(message)
  }
}

function composition(report) {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const spaces = getHeapSpaceStatistics()
  const young = spaces.find(space => space.space_name === 'new_space')
  const accounts = {}
  if (report !== undefined) for (const [name, { bytes }] of Object.entries(report.accounts)) accounts[name] = bytes
  return {
    rss, heapTotal, heapUsed, external, arrayBuffers, youngBytes: young?.physical_space_size ?? 0,
    usedBytes: report?.usedBytes ?? 0, accounts,
  }
}

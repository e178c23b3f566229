/**
 * After a crash at any moment the store holds the state after some prefix of the writes, no shorter than what was
 * acknowledged at a durability that survives this kind of crash; batches are there whole or not at all.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../host/sim/random.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { History } from '../testing/history.ts'
import { assertTyped, checkFiles, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'
import type { CompactionOption, Durability } from '../api/options.ts'

const SEEDS = seedCount(60)
const FIRST_SEED = firstSeed(1)

const COMPACTIONS: CompactionOption[] = [
  { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 8192 },
  { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 8192, multiplier: 2, targetTableBytes: 8192 },
]

/** One machine and the store on it, through several lives. */
class Machine {
  readonly #random: Random
  readonly #history: History
  readonly #compaction: CompactionOption
  #host: SimHost
  /** How many writes must survive a close, the death of the process, and the death of the machine. */
  #acknowledged = { none: 0, os: 0, disk: 0 }
  /** The machine has just started: all its files are durable. */
  #isFresh = false

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#history = new History(this.#random.fork())
    this.#compaction = COMPACTIONS[seed % COMPACTIONS.length]!
    this.#host = simHost({ seed })
  }

  async run(): Promise<void> {
    for (let lives = this.#random.between(2, 6); lives > 0; lives--) {
      const db = await this.#openSomehow()
      await this.#work(db)
      if (this.#random.below(6) === 0) await this.#closeSomehow(db)
      else this.#crash()
    }
    const db = await this.#open()
    assert.deepEqual((await within(this.#host, db.verify())).errors, [])
    await this.#host.idle()
    checkFiles(this.#host, db)
    checkLedger(db)
    await closeEmpty(this.#host, db)
  }

  /** Open, crashing in the middle of it up to three times. */
  async #openSomehow(): Promise<Spillway> {
    const random = this.#random
    for (let attempts = random.below(4); attempts > 0; attempts--) {
      this.#failSoon(40)
      let db: Spillway | undefined
      try {
        db = await openSim(this.#host, { compaction: this.#compaction })
      } catch (error) {
        assertTyped(error, ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE'])
      }
      // When it came to an end before the fault, the fault is for the merges that follow.
      if (db !== undefined) await turns(random.below(20))
      this.#crash()
    }
    return this.#open()
  }

  /** Open, and compare with what was written before. */
  async #open(): Promise<Spillway> {
    const db = await openSim(this.#host, { compaction: this.#compaction })
    const length = this.#history.recovered(await within(this.#host, db.iterator().all()), this.#acknowledged.os)
    // What was found once must be there after the next crash too, after a power loss only if nothing of it was in danger.
    this.#acknowledged = { none: length, os: length, disk: this.#isFresh ? length : this.#acknowledged.disk }
    this.#isFresh = false
    return db
  }

  /** Write in all ways, with flushes and merges on the way, until done or until the disk is gone. */
  async #work(db: Spillway): Promise<void> {
    const random = this.#random
    const valueBytes = [20, 2000, 12_000, 16_384][random.below(4)]!
    if (random.below(3) > 0) this.#failSoon(random.below(2) === 0 ? 30 : 400)
    let failed = false
    const fail = (error: unknown): void => {
      failed = true
      assertTyped(error, ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE', 'SPILLWAY_READ_ONLY', 'SPILLWAY_CLOSED', 'SPILLWAY_ABORTED'])
    }
    const host = this.#host
    for (let writes = random.between(1, 80); writes > 0 && !failed; writes--) {
      const durability = (['none', 'os', 'os', 'disk'] as const)[random.below(4)]!
      const index = this.#history.next(valueBytes)
      const failWrite = (error: unknown): void => {
        if (host === this.#host) this.#history.fail(index)
        fail(error)
      }
      if (random.below(3) === 0) {
        try {
          this.#history.writeSync(db, index, { durability })
          this.#acknowledge(host, index, durability)
        } catch (error) {
          failWrite(error)
        }
      } else {
        const written = this.#history.write(db, index, { durability })
        const acknowledged = written.then(() => this.#acknowledge(host, index, durability), failWrite)
        if (random.below(3) === 0) await within(host, acknowledged)
      }
      if (random.below(12) === 0) db.flush().catch(fail)
      if (random.below(25) === 0) db.compact().catch(fail)
      if (random.below(3) === 0) await turns(random.below(8))
    }
    await turns(random.below(30))
  }

  #acknowledge(host: SimHost, index: number, durability: Durability): void {
    // An acknowledgement that comes after the crash reached no caller.
    if (host !== this.#host) return
    const acknowledged = this.#acknowledged
    acknowledged.none = Math.max(acknowledged.none, index + 1)
    if (durability !== 'none') acknowledged.os = Math.max(acknowledged.os, index + 1)
    if (durability === 'disk') acknowledged.disk = Math.max(acknowledged.disk, index + 1)
  }

  async #closeSomehow(db: Spillway): Promise<void> {
    let closed = true
    try {
      await within(this.#host, db.close())
      this.#acknowledged.os = this.#acknowledged.disk = this.#acknowledged.none
    } catch (error) {
      assertTyped(error, ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE'])
      closed = false
    }
    if (!closed || this.#random.below(2) === 0) this.#crash()
    else this.#host.disk.faults.clear()
  }

  #crash(): void {
    const { disk } = this.#host
    // What a failed sync covered is lost with the power, though a later process finds it and syncs it with success: no store can
    // tell. So where a sync failed, the power fails too.
    const lossless = this.#random.below(3) === 0 && !disk.log.some(line => line.startsWith('sync') && line.endsWith('FAILS'))
    disk.isLogging = false
    disk.log.length = 0
    this.#host = this.#host.crash({ lossless })
    disk.faults.clear()
    if (lossless) return
    this.#acknowledged.os = this.#acknowledged.disk
    this.#isFresh = true
  }

  /** The device is gone from some operation on, within this many: a crash in the middle of running work. */
  #failSoon(within: number): void {
    const { disk } = this.#host
    const { faults } = disk
    disk.isLogging = true
    faults.failAt(faults.operations + this.#random.between(1, within), 'EIO', true)
  }
}

test(`a crash at any moment leaves a prefix of the writes that holds what was acknowledged (${SEEDS} seeds)`, { timeout: 3_600_000 }, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      await new Machine(seed).run()
    } catch (cause) {
      throw new Error(`seed ${seed} (repeat it with SPILLWAY_SEED=${seed} SPILLWAY_SEEDS=1): ${(cause as Error).message}`, { cause })
    }
  }
})

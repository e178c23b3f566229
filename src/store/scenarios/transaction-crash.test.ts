/**
 * A crash, of the process or of the machine, at any step of transactions that spill: each is there whole or not at all, what was
 * acknowledged is there, and nothing is left on the disk of those that were not committed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../host/sim/random.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { valueOf } from '../testing/run-commands.ts'
import { assertTyped, checkFiles, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'
import type { BatchOperation } from '../api/options.ts'

const SEEDS = seedCount(45)
const FIRST_SEED = firstSeed(1)
const CODES = [
  'SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE', 'SPILLWAY_READ_ONLY', 'SPILLWAY_CLOSED', 'SPILLWAY_ABORTED', 'SPILLWAY_BUDGET_TOO_SMALL',
]

/** Writers in turn, each write number i says so in its keys: a transaction in all of its keys, a plain write in one. */
class Machine {
  readonly #random: Random
  #host: SimHost
  /** Write i: the state that it makes, on top of the one before. */
  #writes: Map<string, string | undefined>[] = []
  /** How many writes must be there after the death of the process, and of the machine. */
  #acknowledged = { os: 0, disk: 0 }

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#host = simHost({ seed })
  }

  async run(): Promise<void> {
    for (let lives = this.#random.between(2, 5); lives > 0; lives--) {
      const db = await this.#open()
      await this.#work(db)
      if (this.#random.below(5) === 0) await this.#close(db)
      this.#crash()
    }
    const db = await this.#open()
    assert.deepEqual((await within(this.#host, db.verify())).errors, [])
    await within(this.#host, db.compact())
    this.#check(await within(this.#host, db.iterator().all()))
    await this.#host.idle()
    checkFiles(this.#host, db)
    checkLedger(db)
    await closeEmpty(this.#host, db)
  }

  async #open(): Promise<Spillway> {
    const db = await openSim(this.#host)
    this.#check(await within(this.#host, db.iterator().all()))
    return db
  }

  /** The state is that after one of the writes, none that was acknowledged is missing. Later ones are forgotten. */
  #check(entries: readonly [string, string][]): void {
    const found = new Map(entries)
    const state = new Map<string, string>()
    const least = this.#acknowledged.os
    let best = found.size === 0 ? 0 : -1
    for (let i = 0; i < this.#writes.length; i++) {
      for (const [key, value] of this.#writes[i]!) {
        if (value === undefined) state.delete(key)
        else state.set(key, value)
      }
      if (state.size === found.size && [...state].every(([key, value]) => found.get(key) === value)) best = i + 1
    }
    assert.ok(best >= 0, `the state after none of ${this.#writes.length} writes: ${entries.map(([key, value]) => `${key} ${value.slice(0, 9)}`).join('; ').slice(0, 600)}`)
    assert.ok(best >= least, `the state after ${best} writes, but ${least} were acknowledged`)
    this.#writes.length = best
    this.#acknowledged = { os: best, disk: Math.min(this.#acknowledged.disk, best) }
  }

  async #work(db: Spillway): Promise<void> {
    const random = this.#random
    const host = this.#host
    if (random.below(4) > 0) this.#failSoon(random.below(2) === 0 ? 60 : 600)
    for (let writes = random.between(1, 12); writes > 0; writes--) {
      const durability = (['os', 'disk', 'none'] as const)[random.below(3)]!
      const index = this.#writes.length
      const changes = new Map<string, string | undefined>([['last', String(index)]])
      const kind = random.below(4)
      let written: Promise<void>
      if (kind === 0) {
        for (let i = random.below(3); i > 0; i--) changes.set(keyOf(random.below(30)), valueOf(index + 1, random.between(0, 3000)))
        const operations = [...changes].map(([key, value]): BatchOperation<string, string> => ({ type: 'put', key, value: value! }))
        written = db.batch(operations, { durability })
      } else {
        for (let i = kind === 1 ? random.below(6) : random.between(20, 70); i > 0; i--) {
          const size = random.below(30) === 0 ? 20_000 : random.between(8_000, 16_384)
          changes.set(keyOf(random.below(60)), random.below(8) === 0 ? undefined : valueOf(index + 1, size))
        }
        // As a batch larger than the memtable now and then.
        written = random.below(4) === 0
          ? db.batch([...changes].map(([key, value]): BatchOperation<string, string> => value === undefined ? { type: 'del', key } : { type: 'put', key, value }), { durability })
          : db.transaction(async transaction => {
            for (const [key, value] of changes) {
              if (value === undefined) await transaction.del(key)
              else await transaction.put(key, value)
            }
          }, { durability })
      }
      this.#writes.push(changes)
      let failed = false
      await within(host, written.then(() => {
        if (durability !== 'none') this.#acknowledged.os = index + 1
        if (durability === 'disk') this.#acknowledged.disk = index + 1
      }, (error: unknown) => {
        failed = true
        assertTyped(error, CODES)
      }))
      if (failed) break
      if (random.below(4) === 0) db.flush().catch((error: unknown) => { assertTyped(error, CODES) })
      if (random.below(3) === 0) await turns(random.below(8))
    }
    if (random.below(2) === 0) {
      // Left in the middle.
      const transaction = await db.begin().catch((error: unknown) => { assertTyped(error, CODES) })
      for (let i = random.below(60); i > 0 && transaction !== undefined; i--) {
        transaction.put(keyOf(i), valueOf(i, 12_000)).catch((error: unknown) => { assertTyped(error, CODES) })
      }
    }
    await turns(random.below(30))
  }

  async #close(db: Spillway): Promise<void> {
    try {
      await within(this.#host, db.close())
      this.#acknowledged.disk = this.#acknowledged.os
    } catch (error) {
      assertTyped(error, CODES)
    }
  }

  #crash(): void {
    const { disk } = this.#host
    const lossless = this.#random.below(3) === 0 && !disk.log.some(line => line.startsWith('sync') && line.endsWith('FAILS'))
    disk.isLogging = false
    disk.log.length = 0
    this.#host = this.#host.crash({ lossless })
    disk.faults.clear()
    if (!lossless) this.#acknowledged.os = this.#acknowledged.disk
  }

  #failSoon(within: number): void {
    const { disk } = this.#host
    disk.isLogging = true
    disk.faults.failAt(disk.faults.operations + this.#random.between(1, within), 'EIO', true)
  }
}

test(`after a crash at any step a transaction is there whole or not at all (${SEEDS} seeds)`, { timeout: 3_600_000 }, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      await new Machine(seed).run()
    } catch (cause) {
      throw new Error(`seed ${seed} (repeat it with SPILLWAY_SEED=${seed} SPILLWAY_SEEDS=1): ${(cause as Error).message}`, { cause })
    }
  }
})

function keyOf(number: number): string {
  return `k${String(number).padStart(3, '0')}`
}

for (const lossless of [true, false]) {
  test(`right after its commit, with older writes in the log only, ${lossless ? 'the process' : 'the machine'} dies: what was before it is there, and is hidden by it`, async () => {
    const host = simHost({ seed: 5 })
    const db = await openSim(host, { budget: '12 MiB', compaction: { strategy: 'tiered', minMergeWidth: 30 } })
    const large = 'v'.repeat(16_000)
    for (const key of ['deleted', 'in range', 'overwritten', 'kept']) await db.put(key, 'old')
    const transaction = await db.begin()
    await transaction.del('deleted')
    await transaction.deleteRange({ gte: 'in', lt: 'io' })
    await transaction.put('overwritten', 'new')
    // Runs that overlap, so that they are merged.
    for (let i = 0; i < 120; i++) await transaction.put(keyOf(i % 60), large)
    // The memtable that was before is not flushed yet when it commits, and its flush, which the next write helps along, fails.
    let isCommitted = false
    host.disk.beforeOperation = (what, path) => {
      isCommitted ||= what === 'publish sync'
      if (isCommitted && what === 'create' && path.endsWith('.table')) throw Object.assign(new Error('EIO: i/o error, open'), { code: 'EIO', syscall: 'open' })
    }
    await transaction.commit()
    db.putSync('after', 'v')
    host.disk.beforeOperation = undefined
    const restarted = host.crash({ lossless })
    const manifest = restarted.files.list('/store').findLast(name => name.startsWith('manifest'))!
    assert.match(new TextDecoder().decode(restarted.files.readAll(`/store/${manifest}`)), /"ahead":\[\[5,/)
    // Everything is merged at once.
    const options = { compaction: { strategy: 'tiered', minMergeWidth: 2, sizeRatio: 1000 } as const }
    const again = await openSim(restarted, options)
    const check = (): void => {
      assert.deepEqual(again.getManySync(['deleted', 'in range', 'overwritten', 'kept', keyOf(7)]), [undefined, undefined, 'new', 'old', large])
      assert.equal([...again.entriesSync()].length, lossless ? 63 : again.getSync('after') === undefined ? 62 : 63)
    }
    check()
    await restarted.idle()
    const { runs, memtables } = again.stats()
    assert.ok(runs.length === 1 && memtables[0]!.entries >= 4, 'the tables of the transaction are merged while older writes are in memory')
    check()
    await within(restarted, again.flush())
    await restarted.idle()
    check()
    await within(restarted, again.compact())
    check()
    assert.deepEqual((await within(restarted, again.verify())).errors, [])
    again.putSync('more', 'v')
    await closeEmpty(restarted, again)
    const last = await openSim(restarted, options)
    assert.equal(last.getSync('more'), 'v')
    await closeEmpty(restarted, last)
  })
}

/**
 * Where it cannot be seen whether an owner lives, as on a network file system, another process takes the store over while it writes: at
 * any step of either. Nothing that the present owner acknowledged is lost, what a former one appends is never data and never damage,
 * and it hears of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseName } from '../../base/file-names.ts'
import { Random } from '../../host/sim/random.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { History } from '../testing/history.ts'
import { assertTyped, checkEmpty, checkFiles, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'
import type { CompactionOption, Durability, OpenOptions } from '../api/options.ts'

const SEEDS = seedCount(45)
const FIRST_SEED = firstSeed(1)
/** More than what opening does in the disk's operations. */
const OPENING_OPERATIONS = 60

const COMPACTIONS: CompactionOption[] = [
  { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 8192 },
  { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 8192, multiplier: 2, targetTableBytes: 8192 },
]

interface Owner { readonly host: SimHost, readonly db: Spillway }

class Place {
  readonly #random: Random
  readonly #history: History
  readonly #options: OpenOptions
  #host: SimHost
  #owner: Owner | undefined
  /** Owners that were taken over from, and may not know it yet. */
  #former: Owner[] = []
  /** Counts of writes with the operating system, and of durable ones. */
  #written = 0
  #durable = 0
  #zombies = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#history = new History(this.#random.fork())
    this.#options = { compaction: COMPACTIONS[seed % COMPACTIONS.length]! }
    this.#host = simHost({ seed })
  }

  async run(): Promise<void> {
    const random = this.#random
    for (let lives = random.between(2, 6); lives > 0; lives--) {
      await this.#takeOver()
      await this.#work(random.between(1, 25))
      const end = random.below(8)
      if (end === 0) await this.#close()
      else if (end === 1) this.#crash(true)
      else if (end === 2) this.#crash(false)
    }
    await this.#takeOver()
    await this.#end()
  }

  /** Another process opens the store, while the owner before goes on writing at some of the steps of that. */
  async #takeOver(): Promise<void> {
    const random = this.#random
    const before = this.#owner
    const { disk } = this.#host
    disk.holdersAreUnseen = true
    const host = before === undefined ? this.#host : new SimHost({ seed: random.next32(), disk })
    const steps = new Set(before === undefined ? [] : Array.from({ length: random.below(4) }, () => random.below(OPENING_OPERATIONS)))
    let step = 0
    const interrupt = (): void => {
      if (!steps.has(step++)) return
      disk.beforeOperation = undefined
      this.#writeSync(before!, random.below(3) > 0 ? 'disk' : 'os', true)
      disk.beforeOperation = interrupt
    }
    if (before !== undefined) disk.beforeOperation = interrupt
    const db = await openSim(host, this.#options)
    disk.beforeOperation = undefined
    if (before !== undefined) this.#former.push(before)
    this.#owner = { host, db }
    this.#host = host
    const length = this.#history.recovered(await within(host, db.iterator().all()), this.#written)
    this.#written = length
    // It was all synced before the first manifest that relies on it.
    this.#durable = length
    assert.equal(await within(host, db.count({ gte: 'zombie', lt: 'zombif' })), 0)
  }

  async #work(writes: number): Promise<void> {
    const random = this.#random
    // Right after the takeover, when the former owner has not looked yet.
    if (random.below(2) === 0) await this.#haunt()
    for (; writes > 0; writes--) {
      const { host, db } = this.#owner!
      const durability = (['none', 'os', 'disk'] as const)[random.below(3)]!
      if (random.below(3) === 0) {
        this.#writeSync(this.#owner!, durability, false)
      } else {
        const index = this.#history.next(1000)
        const written = this.#history.write(db, index, { durability })
        if (random.below(2) === 0) await within(host, written)
        else await turns(random.below(4))
        await within(host, written)
        this.#acknowledge(index, durability)
      }
      if (random.below(8) === 0) await within(host, db.flush())
      if (random.below(15) === 0) await within(host, db.compact())
      if (random.below(3) === 0) await this.#haunt()
    }
    if (random.below(3) === 0) this.#owner!.db.flush().catch(() => {})
    if (random.below(4) === 0) this.#owner!.db.compact().catch(() => {})
  }

  #writeSync({ db }: Owner, durability: Durability, mayBeFenced: boolean): void {
    const index = this.#history.next(1000)
    try {
      this.#history.writeSync(db, index, { durability })
    } catch (error) {
      assert.ok(mayBeFenced)
      this.#history.fail(index)
      assertTyped(error, ['SPILLWAY_FENCED'])
      return
    }
    // While it is taken over from, what is only with the operating system may come too late.
    if (!mayBeFenced || durability === 'disk') this.#acknowledge(index, durability)
  }

  #acknowledge(index: number, durability: Durability): void {
    if (durability !== 'none') this.#written = Math.max(this.#written, index + 1)
    if (durability === 'disk') this.#durable = Math.max(this.#durable, index + 1)
  }

  /** A former owner does what it would do if it still were one. */
  async #haunt(): Promise<void> {
    const random = this.#random
    if (this.#former.length === 0) return
    const { host, db } = this.#former[random.below(this.#former.length)]!
    const fenced = (error: unknown): void => { assertTyped(error, ['SPILLWAY_FENCED']) }
    const put = (durability: Durability): Promise<void> => db.put(`zombie-${this.#zombies++}`, 'z'.repeat(random.below(5000)), { durability })
    switch (random.below(7)) {
      case 0: return within(host, assert.rejects(put('disk'), { code: 'SPILLWAY_FENCED' }))
      case 1: return within(host, put('os').catch(fenced))
      case 2: return within(host, put('none').catch(fenced))
      case 3: {
        // A store with nothing in memory has nothing to flush.
        await within(host, put('none').catch(fenced))
        return within(host, assert.rejects(db.flush(), { code: 'SPILLWAY_FENCED' }))
      }
      case 4: return within(host, db.compact().catch(fenced))
      case 5: {
        await within(host, put('os').catch(fenced))
        host.advance(1000)
        return within(host, assert.rejects(put('none'), { code: 'SPILLWAY_FENCED' }))
      }
      default: return within(host, db.transaction(async tx => { await tx.put(`zombie-${this.#zombies++}`, 'z') }, { durability: 'disk' }).then(
        () => assert.fail('committed'), fenced))
    }
  }

  async #close(): Promise<void> {
    const { host, db } = this.#owner!
    await closeEmpty(host, db)
    this.#durable = this.#written = this.#history.length
    this.#owner = undefined
  }

  #crash(lossless: boolean): void {
    this.#host = this.#host.crash({ lossless })
    this.#host.disk.isLogging = false
    if (!lossless) this.#written = this.#durable
    this.#owner = undefined
    this.#former = []
  }

  async #end(): Promise<void> {
    const { host, db } = this.#owner!
    for (const former of this.#former) {
      await within(former.host, assert.rejects(former.db.close(), { code: 'SPILLWAY_FENCED' }))
      checkEmpty(former.db)
    }
    assert.deepEqual((await within(host, db.verify())).errors, [])
    checkLedger(db)
    await closeEmpty(host, db)
    const last = await openSim(host, this.#options)
    this.#history.recovered(await within(host, last.iterator().all()), this.#history.length)
    assert.deepEqual((await within(host, last.verify())).errors, [])
    await host.idle()
    checkFiles(host, last)
    await closeEmpty(host, last)
    assert.equal(host.files.list('/store').filter(name => parseName(name).kind === 'temporary').length, 0)
  }
}

test(`a store is taken over at any step, ${SEEDS} seeds from ${FIRST_SEED}`, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      await new Place(seed).run()
    } catch (error) {
      throw new Error(`seed ${seed} (repeat with SPILLWAY_SEED=${seed} SPILLWAY_SEEDS=1)`, { cause: error })
    }
  }
})

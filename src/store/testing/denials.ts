/**
 * Scripts that run while leases are denied: the n-th one and some after it, as if there were no room.
 *
 * What must hold: no read fails, no write fails, an opening may fail with BUDGET_TOO_SMALL but loses nothing and leaves no lease
 * behind, nothing hangs, the data is right, and the ledger is empty in the end.
 */
import assert from 'node:assert/strict'
import { SpillwayError } from '../../base/errors.ts'
import type { JobRunner, RunnerOptions } from '../../host/host.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import type { BatchOperation, OpenOptions } from '../api/options.ts'
import { checkBudget, floorBytes } from './governance.ts'
import { Model } from './model.ts'
import type { ModelRange } from './model.ts'
import { sameEntries, valueOf } from './run-commands.ts'
import { checkFiles, within } from './sim.ts'

/** How many leases are denied once it begins; 'job': all until a job has ended, or many were denied. */
export type Denial = number | 'job'
const MAX_UNTIL_JOB = 40
/** In no script does an opening take more leases. */
const MAX_OPENINGS = 80

const OPTIONS: OpenOptions = { blockBytes: 1024, compaction: { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 16 * 1024 } }

/** A machine that says when a job has ended. */
class WatchedHost extends SimHost {
  onJobEnd: () => void = () => {}

  override runner(options: RunnerOptions): JobRunner {
    const runner = super.runner(options)
    const submit = runner.submit.bind(runner)
    runner.submit = (request, done) => submit(request, (error, result) => {
      this.onJobEnd()
      done(error, result)
    })
    return runner
  }
}

/** Where a script plays: a budget that denies, stores and what they should hold. */
export class Stage {
  readonly host = new WatchedHost({ seed: 5 })
  readonly budget: Budget
  readonly floorBytes: number
  /** Leases asked for while they may be denied. */
  asked = 0
  denied = 0
  readonly #from: number
  readonly #denial: Denial
  readonly #models = new Map<Spillway, Model>()
  readonly #pending: Promise<void>[] = []
  #largestBytes: number
  #label = 0
  #isOver = false

  /** `from`: the first lease that is denied, counted from 0. */
  constructor(from: number, denial: Denial, stores: number, aboveBytes: number) {
    this.#from = from
    this.#denial = denial
    this.floorBytes = floorBytes(stores)
    this.#largestBytes = this.floorBytes + aboveBytes
    this.budget = new Budget(this.#largestBytes)
    this.host.disk.isLogging = false
    this.host.onJobEnd = () => { if (this.#denial === 'job' && this.denied > 0) this.#isOver = true }
    this.deny(true)
  }

  /** Deny what is to be denied, or nothing for a while. */
  deny(on: boolean): void {
    this.budget.denies = on ? () => this.#denies() : undefined
  }

  /** The opening is not denied anything, unless the script is about that. */
  async open(directory = '/a', denies = false): Promise<Spillway> {
    this.deny(denies)
    for (let tries = 0; ; tries++) {
      const before = this.budget.usedBytes
      const isAlone = ![...this.#models.keys()].some(db => !db.isClosed)
      try {
        const db = await within(this.host, Spillway.open(directory, { ...OPTIONS, budget: this.budget, host: this.host }))
        this.deny(true)
        const model = [...this.#models].find(([other]) => other.directory === directory)?.[1] ?? new Model()
        this.#models.set(db, model)
        this.read(db)
        return db
      } catch (error) {
        assert.ok(denies && tries < MAX_OPENINGS && this.denied > 0, (error as Error).message)
        if (!(error instanceof SpillwayError) || error.code !== 'SPILLWAY_BUDGET_TOO_SMALL') throw error
        if (isAlone) assert.equal(this.budget.usedBytes, 0, 'an opening that failed leaves nothing behind')
        else assert.ok(this.budget.usedBytes <= before, 'an opening that failed leaves nothing behind')
      }
    }
  }

  value(size: number): string {
    return valueOf(++this.#label, size)
  }

  /** Awaited by `settle`. */
  put(db: Spillway, key: string, size: number): void {
    const value = this.value(size)
    this.#models.get(db)!.put(key, value)
    this.#track(db.put(key, value))
  }

  putSync(db: Spillway, key: string, size: number): void {
    const value = this.value(size)
    db.putSync(key, value)
    this.#models.get(db)!.put(key, value)
  }

  del(db: Spillway, key: string): void {
    this.#models.get(db)!.del(key)
    this.#track(db.del(key))
  }

  deleteRange(db: Spillway, range: ModelRange): void {
    this.#models.get(db)!.deleteRange(range)
    this.#track(db.deleteRange(range))
  }

  batch(db: Spillway, keys: readonly string[], size: number): void {
    const operations: BatchOperation<string, string>[] = keys.map(key => ({ type: 'put', key, value: this.value(size) }))
    for (const operation of operations) if (operation.type === 'put') this.#models.get(db)!.put(operation.key, operation.value)
    this.#track(db.batch(operations))
  }

  /** Keys with a common beginning, one put each. */
  fill(db: Spillway, start: string, count: number, size: number): void {
    for (let i = 0; i < count; i++) this.put(db, `${start}${String(i).padStart(3, '0')}`, size)
  }

  async settle(): Promise<void> {
    await within(this.host, Promise.all(this.#pending.splice(0)))
  }

  async flush(db: Spillway): Promise<void> {
    await this.settle()
    await within(this.host, db.flush())
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return within(this.host, promise)
  }

  model(db: Spillway): Model {
    return this.#models.get(db)!
  }

  /** All of a store as it is now, in both directions and by key. Nothing may be pending. */
  read(db: Spillway, range: ModelRange = {}): void {
    const expected = this.model(db).read(range)
    sameEntries([...db.entriesSync(range)], expected)
    sameEntries([...db.entriesSync({ ...range, reverse: true })], expected.slice().reverse())
    for (let i = 0; i < expected.length; i += 7) assert.ok(db.getSync(expected[i]![0]) === expected[i]![1], `key ${expected[i]![0]}`)
    assert.equal(db.hasSync('no such key'), false)
  }

  async close(db: Spillway): Promise<void> {
    await this.settle()
    await within(this.host, db.close())
  }

  setBudget(db: Spillway, bytes: number): void {
    db.setBudget(bytes)
    this.#largestBytes = Math.max(this.#largestBytes, bytes)
  }

  check(): void {
    checkBudget(this.budget, this.#largestBytes)
  }

  /** Close what is open; open all again with nothing denied: everything is there. */
  async finish(): Promise<void> {
    await this.settle()
    for (const db of this.#models.keys()) {
      if (db.isClosed) continue
      this.read(db)
      this.check()
      await this.close(db)
    }
    assert.equal(this.budget.usedBytes, 0, `bytes left after close: ${JSON.stringify(this.budget.report().accounts)}`)
    this.deny(false)
    for (const directory of new Set([...this.#models.keys()].map(db => db.directory))) {
      const db = await this.open(directory)
      this.deny(false)
      await this.host.idle()
      checkFiles(this.host, db)
      assert.deepEqual((await within(this.host, db.verify())).errors, [])
      await this.close(db)
    }
  }

  #track(promise: Promise<void>): void {
    promise.catch(() => {})
    this.#pending.push(promise)
  }

  #denies(): boolean {
    if (this.asked++ < this.#from || this.#isOver) return false
    if (this.denied >= (this.#denial === 'job' ? MAX_UNTIL_JOB : this.#denial)) return false
    this.denied++
    return true
  }
}

export interface Script {
  name: string
  /** Open at the same time; default 1. */
  stores?: number
  /** What the budget has above the floor; default 640 KiB. */
  aboveBytes?: number
  run(stage: Stage): Promise<void>
}

export const SCRIPTS: readonly Script[] = [
  {
    name: 'opening a new store and an old one',
    async run(stage) {
      const db = await stage.open('/a', true)
      stage.put(db, 'k', 10)
      await stage.close(db)
      await stage.open('/a', true)
    },
  },
  {
    name: 'opening beside another store, with a log to replay and tables',
    stores: 2,
    async run(stage) {
      await stage.open('/other')
      stage.deny(false)
      for (let life = 0; life < 3; life++) {
        const db = await stage.open('/a')
        stage.deny(false)
        stage.fill(db, `${life}-`, 60, 4000)
        if (life === 1) await stage.flush(db)
        await stage.close(db)
      }
      const db = await stage.open('/a', true)
      stage.put(db, 'k', 10)
    },
  },
  {
    name: 'a flood of writes',
    async run(stage) {
      const db = await stage.open()
      stage.fill(db, 'a', 400, 4000)
      await stage.settle()
      stage.read(db)
    },
  },
  {
    name: 'a loop of synchronous writes',
    async run(stage) {
      const db = await stage.open()
      for (let i = 0; i < 300; i++) stage.putSync(db, `k${i % 50}`, 5000)
    },
  },
  {
    name: 'flushes',
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 3; round++) {
        stage.fill(db, `${round}`, 10, 500)
        await stage.flush(db)
      }
      stage.read(db)
    },
  },
  {
    name: 'merges',
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 6; round++) {
        stage.fill(db, 'k', 30, 600)
        stage.del(db, `k00${round}`)
        await stage.flush(db)
        await stage.host.idle()
      }
      stage.host.advance(60_000)
      await stage.host.idle()
    },
  },
  {
    name: 'reads of cold tables',
    async run(stage) {
      let db = await stage.open()
      stage.deny(false)
      for (let round = 0; round < 3; round++) {
        stage.fill(db, `${round}-`, 40, 700)
        await stage.flush(db)
      }
      await stage.close(db)
      db = await stage.open()
      const keys = stage.model(db).read().map(([key]) => key)
      for (const key of keys) assert.equal(await db.has(key), true)
      assert.deepEqual(await db.getMany(keys), keys.map(key => stage.model(db).get(key)))
      assert.equal(await stage.until(db.count()), keys.length)
      stage.read(db, { gte: '1' })
    },
  },
  {
    name: 'iterators left open while tables come and go',
    async run(stage) {
      const db = await stage.open()
      const open: { next(): Promise<[string, string] | undefined>, rest: [string, string][] }[] = []
      for (let round = 0; round < 6; round++) {
        stage.fill(db, 'k', 40, 500)
        await stage.settle()
        const reverse = round % 2 === 1
        const iterator = db.iterator({ reverse })
        open.push({ next: () => iterator.next(), rest: stage.model(db).read({ reverse }) })
        for (const { next, rest } of open) for (let i = 0; i < 3; i++) sameEntries([(await stage.until(next()))!], [rest.shift()!])
        await stage.flush(db)
      }
      for (const { next, rest } of open) {
        for (const entry of rest) sameEntries([(await stage.until(next()))!], [entry])
        assert.equal(await stage.until(next()), undefined)
      }
    },
  },
  {
    name: 'a snapshot read while it is overwritten',
    async run(stage) {
      const db = await stage.open()
      stage.fill(db, 'k', 60, 800)
      await stage.flush(db)
      const snapshot = db.snapshot()
      const expected = stage.model(db).read()
      for (let round = 0; round < 3; round++) {
        stage.fill(db, 'k', 60, 800)
        await stage.flush(db)
        sameEntries([...db.entriesSync({ snapshot })], expected)
      }
      snapshot.close()
    },
  },
  {
    name: 'compactions',
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 3; round++) {
        stage.fill(db, `${round}`, 40, 600)
        stage.deleteRange(db, { gte: `${round}010`, lt: `${round}020` })
        await stage.settle()
        await stage.until(db.compact())
      }
      stage.read(db)
    },
  },
  {
    name: 'large values',
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 2; round++) {
        stage.put(db, 'one', 20_000)
        stage.putSync(db, 'two', 30_000)
        stage.batch(db, ['one', 'three', 'four'], 25_000)
        await stage.flush(db)
        stage.del(db, 'three')
        await stage.settle()
        await stage.until(db.compact())
      }
      stage.read(db)
    },
  },
  {
    name: 'deleted ranges',
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 3; round++) {
        stage.fill(db, 'k', 50, 300)
        stage.deleteRange(db, { gte: 'k010', lt: 'k030' })
        await stage.settle()
        stage.read(db)
        await stage.flush(db)
        stage.read(db)
        stage.deleteRange(db, round === 1 ? {} : { gte: 'k040' })
        await stage.settle()
      }
      stage.read(db)
    },
  },
  {
    name: 'two stores that take turns',
    stores: 2,
    async run(stage) {
      const a = await stage.open('/a')
      const b = await stage.open('/b')
      for (let round = 0; round < 4; round++) {
        stage.fill(a, `${round}`, 60, 4000)
        stage.fill(b, `${round}`, 60, 4000)
        await stage.settle()
        stage.read(round % 2 === 0 ? a : b)
      }
    },
  },
  {
    name: 'a store that closes while another one writes',
    stores: 2,
    async run(stage) {
      const a = await stage.open('/a')
      const b = await stage.open('/b')
      stage.fill(a, 'a', 100, 4000)
      await stage.settle()
      const closing = a.close()
      stage.fill(b, 'b', 200, 4000)
      await stage.until(closing)
      await stage.settle()
    },
  },
  {
    name: 'a budget that moves',
    aboveBytes: 4_000_000,
    async run(stage) {
      const db = await stage.open()
      for (const aboveBytes of [640_000, 6_000_000, 700_000, 1_800_000]) {
        stage.fill(db, 'k', 150, 6000)
        stage.setBudget(db, stage.floorBytes + aboveBytes)
        stage.check()
        await stage.settle()
        stage.read(db, { gte: 'k100' })
      }
    },
  },
  {
    name: 'a batch that needs the largest memtable',
    aboveBytes: 1_300_000,
    async run(stage) {
      const db = await stage.open()
      for (let round = 0; round < 3; round++) {
        stage.fill(db, 'a', 20, 3000)
        stage.batch(db, Array.from({ length: 80 }, (_, i) => `b${i}`), 4500)
        await stage.settle()
      }
    },
  },
]

/** Returns how many leases the script asked for. */
export async function play(script: Script, from: number, denial: Denial): Promise<number> {
  const stage = new Stage(from, denial, script.stores ?? 1, script.aboveBytes ?? 640 * 1024)
  try {
    await script.run(stage)
    await stage.finish()
  } catch (cause) {
    const what = denial === 'job' ? 'all until a job ends' : `${denial} in a row`
    throw new Error(`${script.name}, denied from lease ${from} on, ${what}: ${(cause as Error).message}`, { cause })
  }
  return stage.asked
}

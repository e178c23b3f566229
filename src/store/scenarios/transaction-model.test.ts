/** Random transactions side by side, small ones and such that spill, see and do what snapshot isolation says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { IsolationModel } from '../testing/isolation.ts'
import type { TransactionModel } from '../testing/isolation.ts'
import type { ModelRange } from '../testing/model.ts'
import { valueOf } from '../testing/run-commands.ts'
import { TINY_BUDGET, assertTyped, checkFiles, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'
import type { Transaction } from '../transaction/transaction.ts'
import type { CompactionOption, Durability } from '../api/options.ts'

const RUNS = seedCount(60)
const SEED = firstSeed(4711)
const COMPACTIONS: CompactionOption[] = [
  { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 8192 },
  { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 8192, multiplier: 2, targetTableBytes: 8192 },
]

type Command =
  | { kind: 'begin', durability: Durability }
  /** `at`: which of the open transactions; -1: the store itself. */
  | { kind: 'put', at: number, key: string, label: number, size: number, sync: boolean }
  | { kind: 'del', at: number, key: string, sync: boolean }
  | { kind: 'deleteRange', at: number, range: ModelRange }
  | { kind: 'fill', at: number, from: number, count: number, label: number }
  | { kind: 'getForUpdate', at: number, key: string }
  | { kind: 'read', at: number, range: ModelRange }
  | { kind: 'iterate', at: number, range: ModelRange }
  | { kind: 'commit', at: number, meanwhile: number }
  | { kind: 'abort', at: number }
  | { kind: 'flush' } | { kind: 'compact' } | { kind: 'turns', count: number } | { kind: 'reopen' }

const key = fc.integer({ min: 0, max: 30 }).map(keyOf)
const at = fc.integer({ min: -1, max: 2 })
const inside = fc.integer({ min: 0, max: 2 })
const label = fc.integer({ min: 1, max: 1_000_000 })
const size = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 60 }) }, { weight: 3, arbitrary: fc.integer({ min: 1000, max: 16_384 }) },
  { weight: 1, arbitrary: fc.integer({ min: 16_385, max: 40_000 }) },
)
const range = fc.tuple(key, fc.option(fc.integer({ min: 1, max: 12 }))).map(([gte, count]): ModelRange =>
  count === null ? { gte } : { gte, lt: keyOf(Number(gte.slice(1)) + count) })
const readRange = fc.tuple(range, fc.boolean()).map(([bounds, reverse]): ModelRange => ({ ...bounds, reverse }))
const command: fc.Arbitrary<Command> = fc.oneof(
  { maxDepth: 1 },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('begin' as const), durability: fc.constantFrom<Durability>('none', 'os', 'disk') }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), at, key, label, size, sync: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('del' as const), at, key, sync: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('deleteRange' as const), at, range }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('fill' as const), at, from: fc.nat(200), count: fc.integer({ min: 1, max: 60 }), label }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('getForUpdate' as const), at: inside, key }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), at, range: readRange }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('iterate' as const), at: inside, range: readRange }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('commit' as const), at: inside, meanwhile: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), at: inside }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'flush' as const }) }, { weight: 1, arbitrary: fc.constant({ kind: 'compact' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.nat(10) }) }, { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

interface Open {
  transaction: Transaction
  model: TransactionModel
  iterators: { entries: Generator<[string, string]>, expected: [string, string][] }[]
}

class Run {
  readonly #host: SimHost
  readonly #compaction: CompactionOption
  readonly #model = new IsolationModel()
  #db!: Spillway
  #open: Open[] = []
  /** For writes that touch nothing of any transaction. */
  #others = 0

  constructor(seed: number) {
    this.#host = simHost({ seed })
    this.#compaction = COMPACTIONS[seed % COMPACTIONS.length]!
  }

  async run(script: readonly Command[]): Promise<void> {
    await this.#reopen()
    for (const one of script) {
      await this.#do(one)
      checkLedger(this.#db)
    }
    for (const { transaction } of this.#open) await this.#within(transaction.abort())
    await this.#compare()
    assert.deepEqual((await this.#within(this.#db.verify())).errors, [])
    await this.#host.idle()
    assert.equal(this.#db.stats().transactions.open, 0)
    checkFiles(this.#host, this.#db)
    await this.#reopen()
    await closeEmpty(this.#host, this.#db)
  }

  async #do(command: Command): Promise<void> {
    const db = this.#db
    const open = 'at' in command && command.at >= 0 ? this.#open[command.at % Math.max(1, this.#open.length)] : undefined
    if ('at' in command && command.at >= 0 && open === undefined) return
    switch (command.kind) {
      case 'begin':
        if (this.#open.length >= 3) return
        this.#open.push({ transaction: await db.begin({ durability: command.durability }), model: this.#model.begin(), iterators: [] })
        return
      case 'put': {
        const value = valueOf(command.label, command.size)
        const { key } = command
        if (open === undefined) this.#model.write(state => { state.put(key, value) }, [key], [])
        else open.model.put(key, value)
        const target = open?.transaction ?? db
        if (command.sync) target.putSync(key, value)
        else await this.#within(target.put(key, value))
        return
      }
      case 'del': {
        const { key } = command
        if (open === undefined) this.#model.write(state => { state.del(key) }, [key], [])
        else open.model.del(key)
        const target = open?.transaction ?? db
        if (command.sync) target.delSync(key)
        else await this.#within(target.del(key))
        return
      }
      case 'deleteRange': {
        if (open === undefined) {
          const last = this.#model.state.read().at(-1)?.[0]
          const { range } = command
          const bounded = range.lt === undefined ? { ...range, lte: last ?? '' } : range
          this.#model.write(state => { state.deleteRange(bounded) }, [], [bounded])
        } else {
          open.model.deleteRange(command.range)
        }
        await this.#within((open?.transaction ?? db).deleteRange(command.range))
        return
      }
      case 'fill': {
        const operations = Array.from({ length: command.count }, (_, i) => (
          { type: 'put' as const, key: keyOf(command.from + i), value: valueOf(command.label + i, 16_000) }))
        if (open === undefined) {
          this.#model.write(state => { for (const { key, value } of operations) state.put(key, value) }, operations.map(({ key }) => key), [])
          await this.#within(db.batch(operations))
          return
        }
        // Without waiting for each.
        const written = operations.map(({ key, value }) => {
          open.model.put(key, value)
          return open.transaction.put(key, value)
        })
        await this.#within(Promise.all(written))
        return
      }
      case 'getForUpdate':
        open!.model.read(command.key)
        assert.equal(await this.#within(open!.transaction.getForUpdate(command.key)), open!.model.view.get(command.key))
        return
      case 'read': {
        const expected = (open?.model.view ?? this.#model.state).read(command.range)
        const target = open?.transaction ?? db
        assert.deepEqual(shorten(await this.#within(target.iterator(command.range).all())), shorten(expected))
        const { gte } = command.range
        assert.equal(target.getSync(gte!), (open?.model.view ?? this.#model.state).get(gte!))
        assert.equal(target.hasSync(gte!), (open?.model.view ?? this.#model.state).get(gte!) !== undefined)
        return
      }
      case 'iterate': {
        const { iterators, model, transaction } = open!
        if (iterators.length < 2) {
          iterators.push({ entries: transaction.entriesSync(command.range), expected: model.view.read(command.range) })
          return
        }
        const { entries, expected } = iterators[0]!
        for (let i = 0; i < 10; i++) {
          const next = entries.next()
          assert.deepEqual(next.done === true ? undefined : shorten([next.value])[0], shorten(expected.splice(0, 1))[0])
          if (next.done === true) {
            iterators.shift()
            return
          }
        }
        return
      }
      case 'commit': return this.#commit(open!, command.meanwhile)
      case 'abort':
        this.#open = this.#open.filter(other => other !== open)
        return this.#within(open!.transaction.abort())
      case 'flush': return this.#within(db.flush())
      case 'compact': return this.#within(db.compact())
      case 'turns': return turns(command.count)
      case 'reopen': return this.#reopen()
    }
  }

  /** Others write meanwhile, but nothing that it has to do with. */
  async #commit(open: Open, meanwhile: number): Promise<void> {
    const { transaction, model } = open
    this.#open = this.#open.filter(other => other !== open)
    const expected = model.verdict()
    let failure: unknown
    const committed = transaction.commit().catch((error: unknown) => { failure = error })
    for (let i = 0; i < meanwhile; i++) {
      const key = `other ${String(this.#others++).padStart(6, '0')}`
      const value = valueOf(i + 1, 3000)
      this.#model.write(state => { state.put(key, value) }, [key], [])
      await this.#within(this.#db.put(key, value))
      if (i % 2 === 0) await turns(1)
    }
    await this.#within(committed)
    if (failure !== undefined) assertTyped(failure, ['SPILLWAY_CONFLICT'])
    assert.equal(transaction.state, failure === undefined ? 'committed' : 'aborted')
    if (expected !== 'either') assert.equal(failure === undefined ? 'commits' : 'conflicts', expected)
    if (failure === undefined) model.commit()
    if (meanwhile % 3 === 0) await this.#compare()
  }

  async #compare(): Promise<void> {
    assert.deepEqual(shorten(await this.#within(this.#db.iterator().all())), shorten(this.#model.state.read()))
    for (const [key, value] of this.#model.state.read()) assert.equal(this.#db.getSync(key), value)
  }

  /** Transactions that are open end with the store. */
  async #reopen(): Promise<void> {
    const db = this.#db as Spillway | undefined
    if (db !== undefined) await this.#within(db.close())
    this.#open = []
    this.#db = await openSim(this.#host, { compaction: this.#compaction, budget: TINY_BUDGET })
    if (db !== undefined) await this.#compare()
  }

  #within<T>(promise: Promise<T>): Promise<T> {
    return within(this.#host, promise)
  }
}

test('transactions side by side see and do what snapshot isolation says', { timeout: 900_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), fc.array(command, { minLength: 10, maxLength: 70, size: 'max' }), async (seed, script) => {
      await new Run(seed).run(script)
    }),
    { seed: SEED, numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: 120_000 },
  )
})

function keyOf(number: number): string {
  return `k${String(number).padStart(3, '0')}`
}

/** Values are long, and a difference must be readable. */
function shorten(entries: readonly (readonly [string, string])[]): string[] {
  return entries.map(([key, value]) => `${key} ${value.length} ${value.slice(0, 12)}`)
}

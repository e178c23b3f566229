/** Calls on one iterator take effect in the order in which they were made, whatever was read ahead, awaited or not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../host/sim/random.ts'
import type { SpillwayIterator } from './iterator.ts'
import type { Spillway } from '../spillway.ts'
import { firstSeed, openSim, seedCount, simHost, within } from '../testing/sim.ts'

const ROWS = 400
const keyOf = (i: number): string => `key ${String(i).padStart(4, '0')}`

type Entry = [string, string]
/** What a call came to: entries, or the code of an error. */
type Outcome = { entries: string[] } | { end: true } | { done: true } | { code: string }

/** What an iterator is to do, as simply as it can be said. */
class Oracle {
  readonly #rows: readonly string[]
  readonly #reverse: boolean
  #at = 0
  #left: number
  #isClosed = false
  isLoopOver = false

  constructor(rows: readonly string[], reverse: boolean, limit: number) {
    this.#rows = rows
    this.#reverse = reverse
    this.#left = limit
  }

  get isClosed(): boolean { return this.#isClosed }
  get left(): number { return Math.max(0, Math.min(this.#left, this.#rows.length - this.#at)) }

  take(count: number): string[] {
    const taken = this.#rows.slice(this.#at, this.#at + Math.min(count, this.left))
    this.#at += taken.length
    this.#left -= taken.length
    return taken
  }

  seek(target: string): void {
    const at = this.#rows.findIndex(key => this.#reverse ? key <= target : key >= target)
    this.#at = at < 0 ? this.#rows.length : at
  }

  close(): void { this.#isClosed = true }
}

/** Checks an outcome, when its turn comes. */
type Expectation = (oracle: Oracle, outcome: Outcome, what: string) => void

const CLOSED: Outcome = { code: 'SPILLWAY_CLOSED' }

function one(oracle: Oracle, outcome: Outcome, what: string): void {
  if (oracle.isClosed) return assert.deepEqual(outcome, CLOSED, what)
  const taken = oracle.take(1)
  assert.deepEqual(outcome, taken.length === 0 ? { end: true } : { entries: taken }, what)
}

function some(size: number): Expectation {
  return (oracle, outcome, what) => {
    if (oracle.isClosed) return assert.deepEqual(outcome, CLOSED, what)
    assert.ok('entries' in outcome, what)
    // It may be fewer than there are, and none only at the end.
    const { length } = outcome.entries
    assert.ok(length <= size && (length > 0 || oracle.left === 0), `${what}: ${length} of ${oracle.left}`)
    assert.deepEqual(outcome.entries, oracle.take(length), what)
  }
}

function all(oracle: Oracle, outcome: Outcome, what: string): void {
  if (oracle.isClosed) return assert.deepEqual(outcome, CLOSED, what)
  assert.deepEqual(outcome, { entries: oracle.take(Infinity) }, what)
  oracle.close()
}

function loopOne(oracle: Oracle, outcome: Outcome, what: string): void {
  if (oracle.isLoopOver) return assert.deepEqual(outcome, { done: true }, what)
  if (oracle.isClosed) {
    oracle.isLoopOver = true
    return assert.deepEqual(outcome, CLOSED, what)
  }
  const taken = oracle.take(1)
  assert.deepEqual(outcome, taken.length === 0 ? { done: true } : { entries: taken }, what)
  if (taken.length === 0) {
    oracle.isLoopOver = true
    oracle.close()
  }
}

function loopEnd(oracle: Oracle, outcome: Outcome, what: string): void {
  assert.deepEqual(outcome, { done: true }, what)
  oracle.isLoopOver = true
  oracle.close()
}

function closing(oracle: Oracle, outcome: Outcome, what: string): void {
  assert.deepEqual(outcome, { done: true }, what)
  oracle.close()
}

async function outcomeOf(call: () => unknown): Promise<Outcome> {
  try {
    const result = await call()
    if (result === undefined) return { end: true }
    if (Array.isArray(result) && (result.length === 0 || Array.isArray(result[0]))) return { entries: (result as Entry[]).map(([key]) => key) }
    if (Array.isArray(result)) return { entries: [(result as unknown as Entry)[0]] }
    const { done, value } = result as IteratorResult<Entry>
    return done === true ? { done } : { entries: [value[0]] }
  } catch (error) {
    return { code: String((error as { code?: unknown }).code) }
  }
}

/** Make one random call now; returns its outcome and what it has to be. */
function callOf(random: Random, iterator: SpillwayIterator<Entry>, loop: AsyncIterator<Entry>): { what: string, outcome: Promise<Outcome>, expected: Expectation } {
  const size = 1 + random.below(random.below(4) === 0 ? 300 : 20)
  const target = keyOf(random.below(ROWS + 20) - 10)
  const roll = random.below(100)
  const done = { done: true, value: undefined }
  if (roll < 35) return { what: 'next', outcome: outcomeOf(() => iterator.next()), expected: one }
  if (roll < 55) return { what: `nextv ${size}`, outcome: outcomeOf(() => iterator.nextv(size)), expected: some(size) }
  if (roll < 65) return { what: `nextvSync ${size}`, outcome: outcomeOf(() => iterator.nextvSync(size)), expected: some(size) }
  if (roll < 82) return { what: 'loop next', outcome: outcomeOf(() => loop.next()), expected: loopOne }
  if (roll < 96) {
    return {
      what: `seek ${target}`,
      outcome: outcomeOf(() => { iterator.seek(target); return done }),
      expected: (oracle, outcome, what) => {
        if (oracle.isClosed) return assert.deepEqual(outcome, CLOSED, what)
        assert.deepEqual(outcome, done.done === true ? { done: true } : undefined, what)
        oracle.seek(target)
      },
    }
  }
  if (roll < 97) return { what: 'all', outcome: outcomeOf(() => iterator.all()), expected: all }
  if (roll < 98) return { what: 'loop return', outcome: outcomeOf(() => loop.return!()), expected: loopEnd }
  if (roll < 99) return { what: 'close', outcome: outcomeOf(async () => { await iterator.close(); return done }), expected: closing }
  return { what: 'closeSync', outcome: outcomeOf(() => { iterator.closeSync(); return done }), expected: closing }
}

async function fill(db: Spillway): Promise<string[]> {
  const rows: string[] = []
  for (let i = 0; i < ROWS; i++) {
    db.putSync(keyOf(i), `value ${i}`)
    // Stretches that a walk pauses in.
    if (i % 100 < 60) rows.push(keyOf(i))
    else db.delSync(keyOf(i))
  }
  return rows
}

for (const source of ['store', 'transaction'] as const) {
  const seeds = seedCount(150)
  test(`random sequences of calls that are not awaited have the outcomes of calls one after the other (${source}, ${seeds} seeds)`, async () => {
    const host = simHost()
    const db = await openSim(host)
    const rows = await fill(db)
    await within(host, db.flush())
    const transaction = source === 'transaction' ? await within(host, db.begin()) : undefined
    if (transaction !== undefined) {
      await within(host, transaction.put(keyOf(1000), 'own'))
      rows.push(keyOf(1000))
    }
    for (let seed = firstSeed(1), last = seed + seeds; seed < last; seed++) {
      const random = new Random(seed)
      const reverse = random.below(3) === 0
      const limit = random.below(3) === 0 ? 1 + random.below(100) : Infinity
      const options = { reverse, limit }
      const iterator = transaction === undefined ? db.iterator(options) : transaction.iterator(options)
      const loop = iterator[Symbol.asyncIterator]()
      const oracle = new Oracle(reverse ? [...rows].reverse() : rows, reverse, limit)
      for (let burst = 0; burst < 6; burst++) {
        // The event loop has had no turn for a while: calls that take time are to leave it one.
        if (random.below(2) === 0) host.advance(10)
        const calls = Array.from({ length: 1 + random.below(12) }, () => callOf(random, iterator, loop))
        for (const [i, { outcome, expected }] of calls.entries()) {
          expected(oracle, await within(host, outcome), `seed ${seed}, burst ${burst}, call ${i} of ${calls.map(call => call.what).join(', ')}`)
        }
      }
      iterator.closeSync()
    }
    assert.equal(db.stats().iterators, 0)
    await within(host, transaction?.abort() ?? Promise.resolve())
    await within(host, db.close())
  })
}

test('a call behind one that waits for its turn waits too, and a synchronous one has it take effect first', async () => {
  const host = simHost()
  const db = await openSim(host)
  await fill(db)
  const keys = db.keys()
  host.advance(10)
  const first = keys.next()
  const more = keys.nextv(2)
  keys.seek(keyOf(100))
  const behind = keys.next()
  const rest = keys.all()
  const late = keys.next()
  const closed = keys.close()
  assert.equal(await within(host, first), keyOf(0))
  assert.deepEqual((await within(host, more))[0], keyOf(1))
  assert.equal(await within(host, behind), keyOf(100))
  assert.equal((await within(host, rest))[0], keyOf(101))
  await within(host, assert.rejects(late, { code: 'SPILLWAY_CLOSED' }))
  await within(host, closed)
  await within(host, db.close())
})

test('a loop that is left before it began closes its iterator, and so does one that throws', async () => {
  const host = simHost()
  const db = await openSim(host)
  await fill(db)
  const left = db.iterator()[Symbol.asyncIterator]()
  assert.deepEqual(await left.return(), { done: true, value: undefined })
  assert.deepEqual(await left.next(), { done: true, value: undefined })
  const thrown = db.iterator()[Symbol.asyncIterator]()
  await thrown.next()
  await assert.rejects(thrown.throw(new Error('mine')), /mine/)
  assert.deepEqual(await thrown.next(), { done: true, value: undefined })
  {
    await using disposed = db.iterator()[Symbol.asyncIterator]() as AsyncGenerator & AsyncDisposable
    await disposed.next()
  }
  const ended: string[] = []
  const iterator = db.iterator({ limit: 3 })
  for await (const [key] of iterator) ended.push(key)
  assert.deepEqual(ended, [0, 1, 2].map(keyOf))
  await assert.rejects(async () => { for await (const _ of iterator) continue }, { code: 'SPILLWAY_CLOSED' })
  assert.equal(db.stats().iterators, 0)
  await within(host, db.close())
})

test('what waits when the store closes is refused, and nothing is left waiting', async () => {
  const host = simHost()
  const db = await openSim(host)
  await fill(db)
  const iterator = db.iterator()
  host.advance(10)
  const calls = [iterator.next(), iterator.nextv(3), iterator.all()].map(call => assert.rejects(call, { code: 'SPILLWAY_CLOSED' }))
  const closing = db.close()
  await within(host, Promise.all(calls))
  await within(host, closing)
})

test('a codec that calls the iterator it decodes for is refused, or waits for its turn', async () => {
  const host = simHost()
  const db = await openSim(host)
  await fill(db)
  const refusals: unknown[] = []
  let inner: Promise<unknown> | undefined
  const decode = (bytes: Uint8Array): string => {
    if (inner === undefined) {
      inner = iterator.next()
      for (const call of [() => iterator.nextvSync(1), () => iterator.seek(keyOf(5)), () => iterator.entriesSync().next()]) {
        try {
          call()
        } catch (error) {
          refusals.push((error as { code?: unknown }).code)
        }
      }
    }
    return Buffer.from(bytes).toString()
  }
  const iterator: SpillwayIterator<Entry> = db.iterator({ valueEncoding: { encode: (value: string) => value, decode } })
  const outer = iterator.nextvSync(3)
  assert.deepEqual(refusals, Array.from({ length: 3 }, () => 'SPILLWAY_INVALID_ARGUMENT'))
  assert.deepEqual(outer.map(([key]) => key), [0, 1, 2].map(keyOf))
  await iterator.close()
  assert.deepEqual(await inner, [keyOf(3), 'value 3'])
  await within(host, db.close())
})

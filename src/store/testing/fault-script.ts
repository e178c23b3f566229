/**
 * A short life of a store that touches every kind of file operation, and what must be there afterwards whatever failed on the way.
 *
 * Every write puts two keys with the same value, so that half a batch would be seen. A write that failed may be there or not.
 */
import assert from 'node:assert/strict'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import type { BatchOperation, Durability, OpenOptions } from '../api/options.ts'
import { valueOf } from './run-commands.ts'
import { assertTyped, checkFiles, checkLedger, closeEmpty, openSim, within } from './sim.ts'

const OPTIONS: OpenOptions = { compaction: { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 4096 } }
const LARGE_BYTES = 17_000

export class FaultScript {
  #host: SimHost
  /** By pair of keys: the values it may have; undefined: it may be missing. */
  readonly #allowed = new Map<number, Set<string | undefined>>()
  /** Pairs whose last acknowledged write is durable, and what it wrote. */
  readonly #durable = new Map<number, string>()
  #label = 1
  #errors = 0

  constructor(host: SimHost) {
    this.#host = host
  }

  get errors(): number { return this.#errors }

  /** Until it closes. Every error is one of ours. */
  async run(): Promise<void> {
    const host = this.#host
    let db: Spillway | undefined
    for (let tries = 0; db === undefined; tries++) {
      assert.ok(tries < 3, 'one fault fails one opening at most')
      db = await this.#attempt(openSim(host, OPTIONS))
    }
    const store = db
    for (let round = 0; round < 3; round++) {
      await this.#write(store, round, 20, 'none', false)
      await this.#write(store, 10 + round, 2000, 'os', false)
      await this.#write(store, 20 + round, LARGE_BYTES, 'os', true)
      await Promise.all([this.#write(store, 30 + round, 100, 'os', false), this.#write(store, 40 + round, LARGE_BYTES, 'disk', false)])
      await this.#write(store, 50 + round, 100, 'disk', true)
      if (round === 1) await this.#deletePairs(store, 20, 30)
      await this.#attempt(store.flush())
      await this.#write(store, 60 + round, 100, 'os', true)
      await this.#read(store)
    }
    await this.#attempt(store.compact())
    await this.#read(store)
    await this.#write(store, 70, 100, 'os', false)
    await this.#attempt(store.close())
    assert.equal(store.memory().usedBytes, 0)
  }

  /** Open again without faults: everything that may be expected is there, and the store works. */
  async check(powerFails: boolean): Promise<void> {
    this.#host.disk.faults.clear()
    this.#host = this.#host.crash({ lossless: !powerFails })
    const host = this.#host
    const db = await openSim(host, OPTIONS)
    const found = new Map<string, string>()
    for (const [key, value] of await within(host, db.iterator().all())) found.set(key, value)
    for (const [pair, allowed] of this.#allowed) {
      const [a, b] = keysOf(pair)
      assert.equal(found.get(a), found.get(b), `pair ${pair} was written as a whole`)
      const durable = this.#durable.get(pair)
      if (!powerFails) assert.ok(allowed.has(found.get(a)), `pair ${pair} has ${outline(found.get(a))}`)
      else if (durable !== undefined) assert.ok(found.get(a) === durable, `pair ${pair} has ${outline(found.get(a))}, not what is durable`)
      found.delete(a)
      found.delete(b)
    }
    assert.deepEqual([...found.keys()], [], 'nothing is there that was not written')
    assert.deepEqual((await within(host, db.verify())).errors, [])
    await within(host, db.put('new', 'value', { durability: 'disk' }))
    await within(host, db.flush())
    await host.idle()
    assert.equal(await db.get('new'), 'value')
    checkFiles(host, db)
    checkLedger(db)
    await closeEmpty(host, db)
  }

  async #write(db: Spillway, pair: number, bytes: number, durability: Durability, sync: boolean): Promise<void> {
    const value = valueOf(this.#label++, bytes)
    const allowed = this.#allowed.get(pair) ?? new Set([undefined])
    this.#allowed.set(pair, allowed.add(value))
    const operations: BatchOperation<string, string>[] = keysOf(pair).map(key => ({ type: 'put', key, value }))
    try {
      if (sync) db.batchSync(operations, { durability })
      else await within(this.#host, db.batch(operations, { durability }))
    } catch (error) {
      this.#count(error)
      return
    }
    // What is only in memory is there after a close that went well; whether it did is not known yet.
    if (durability === 'none') return
    this.#allowed.set(pair, new Set([value]))
    if (durability === 'disk') this.#durable.set(pair, value)
  }

  async #deletePairs(db: Spillway, from: number, to: number): Promise<void> {
    const inside = [...this.#allowed].filter(([pair]) => pair >= from && pair < to)
    for (const [pair, allowed] of inside) {
      allowed.add(undefined)
      this.#durable.delete(pair)
    }
    const done = await this.#attempt(db.deleteRange({ gte: keysOf(from)[0], lt: keysOf(to)[0] }).then(() => true))
    if (done === true) for (const [pair] of inside) this.#allowed.set(pair, new Set([undefined]))
  }

  /** Reads give what may be there, or an error of ours. */
  async #read(db: Spillway): Promise<void> {
    for (const [pair, allowed] of this.#allowed) {
      const [key] = keysOf(pair)
      try {
        const value = await db.get(key)
        assert.ok(allowed.has(value), `${key} has ${outline(value)}`)
      } catch (error) {
        this.#count(error)
      }
    }
    await this.#attempt(db.iterator().all())
  }

  async #attempt<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await within(this.#host, work)
    } catch (error) {
      this.#count(error)
      return undefined
    }
  }

  #count(error: unknown): void {
    assertTyped(error, ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE', 'SPILLWAY_READ_ONLY'])
    this.#errors++
  }
}

function keysOf(pair: number): [string, string] {
  const text = String(pair).padStart(3, '0')
  return [`p${text}a`, `p${text}b`]
}

function outline(value: string | undefined): string {
  return value === undefined ? 'nothing' : `${value.length} characters from "${value.slice(0, 8)}"`
}

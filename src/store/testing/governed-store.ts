/**
 * One store of the governance simulation: calls it in all ways, keeps what it may hold, and judges every outcome.
 *
 * Invariants
 * 1. Every promise the store gives is followed to its end, and an error that nothing explains fails the run.
 * 2. No read, and no write except one larger than a memtable, may fail because memory is denied.
 */
import assert from 'node:assert/strict'
import type { SpillwayError } from '../../base/errors.ts'
import type { Random } from '../../host/sim/random.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Budget } from '../../memory/budget.ts'
import type { SpillwayIterator } from '../scan/iterator.ts'
import type { Snapshot } from '../api/snapshots.ts'
import { Spillway } from '../spillway.ts'
import type { BatchOperation, Durability, OpenOptions, WriteOptions } from '../api/options.ts'
import { Expectation } from './expectation.ts'
import type { Attempt } from './expectation.ts'
import type { ModelRange } from './model.ts'
import { isInside } from './model.ts'
import { sameEntries, valueOf } from './run-commands.ts'
import { assertTyped, checkFiles, within } from './sim.ts'

const KEYS = 48
const DISK_ERRORS = ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_NO_SPACE', 'SPILLWAY_READ_ONLY']

/** What the stores of one run share. */
export interface World {
  readonly host: SimHost
  readonly budget: Budget
  readonly random: Random
  /** Durability of writes to choose from. */
  readonly durabilities: readonly Durability[]
  /** Faults of the disk begun so far. */
  readonly faults: number
  log(event: string): void
  /** The run has failed. */
  fail(error: unknown): void
  /** Stands between the run and a store, for planted bugs. */
  wrap(db: Spillway): Spillway
}

interface OpenIterator {
  iterator: SpillwayIterator<[string, string]>
  rest: [string, string][]
}

export class GovernedStore {
  readonly name: string
  readonly directory: string
  readonly #world: World
  readonly #options: OpenOptions
  readonly #expected = new Expectation()
  readonly #pending = new Set<Promise<void>>()
  #aborts: { controller: AbortController, name: string }[] = []
  #iterators: OpenIterator[] = []
  #snapshots: { snapshot: Snapshot, entries: [string, string][] }[] = []
  #db: Spillway | undefined
  #faultsAtOpen = 0
  #isReadOnly = false
  #label = 0

  constructor(world: World, index: number, options: OpenOptions) {
    this.#world = world
    this.#options = options
    this.name = `store ${index}`
    this.directory = `/store-${index}`
  }

  get db(): Spillway | undefined { return this.#db }
  get isOpen(): boolean { return this.#db !== undefined }
  get isReadOnly(): boolean { return this.#isReadOnly }
  get pending(): number { return this.#pending.size }

  /** Open it and compare what is there. Throws what `Spillway.open` throws. */
  async open(): Promise<void> {
    const { host, budget, log, wrap } = this.#world
    this.#faultsAtOpen = this.#world.faults
    const db = await within(host, Spillway.open(this.directory, { blockBytes: 1024, ...this.#options, budget, host }))
    this.#db = wrap(db)
    this.#isReadOnly = false
    log(`${this.name} opened`)
    this.#expected.adopt([...this.#db.entriesSync()])
  }

  /** Begin to close, whatever is under way. */
  close(): void {
    const db = this.#db!
    this.#db = undefined
    this.#iterators = []
    this.#snapshots = []
    this.#follow('close', db.close(), this.#troubles())
  }

  /** Every call has come to its end. */
  async settled(): Promise<void> {
    await within(this.#world.host, Promise.all(this.#pending))
  }

  // ---- writing

  write(size: number, sync: boolean): void {
    const { random } = this.#world
    const key = keyOf(random.below(KEYS))
    const kind = random.below(10)
    if (kind < 7) this.#put(key, valueOf(++this.#label, size), sync)
    else if (kind < 9) this.#del(key, sync)
    else this.deleteRange(sync)
  }

  put(size: number, sync = false): void {
    this.#put(keyOf(this.#world.random.below(KEYS)), valueOf(++this.#label, size), sync)
  }

  batch(count: number, size: number, sync: boolean): void {
    const { random } = this.#world
    const operations: BatchOperation<string, string>[] = []
    const effects = new Map<string, string | undefined>()
    for (let i = 0; i < count; i++) {
      const key = keyOf(random.below(KEYS))
      const value = random.below(5) === 0 ? undefined : valueOf(++this.#label, random.below(size))
      operations.push(value === undefined ? { type: 'del', key } : { type: 'put', key, value })
      effects.set(key, value)
    }
    this.#write(`batch of ${count}`, effects, undefined, sync,
      (db, options) => db.batch(operations, options), (db, options) => db.batchSync(operations, options))
  }

  deleteRange(sync: boolean): void {
    const { random } = this.#world
    const from = random.below(KEYS)
    const range = { gte: keyOf(from), lt: keyOf(from + random.between(1, 12)) }
    this.#write(`deleteRange ${range.gte} to ${range.lt}`, new Map(), range, sync,
      (db, options) => db.deleteRange(range, options), (db, options) => db.deleteRangeSync(range, options))
  }

  /** End the wait of some writes, if they still wait. */
  abort(count: number): void {
    for (let i = 0; i < count && this.#aborts.length > 0; i++) {
      // The last ones are those most likely to wait.
      const { random } = this.#world
      const last = this.#aborts.length - 1
      const [aborted] = this.#aborts.splice(random.below(2) === 0 ? last : random.below(last + 1), 1)
      this.#world.log(`${this.name} abort ${aborted!.name}`)
      aborted!.controller.abort(new Error(aborted!.name))
    }
  }

  // ---- reading

  read(): void {
    const { random } = this.#world
    const db = this.#db!
    const key = keyOf(random.below(KEYS))
    const chosen = this.#snapshots[random.below(4)]
    const check = (found: string | undefined, of = key): void => {
      if (chosen === undefined) this.#expected.checkValue(of, found)
      else assert.equal(found, chosen.entries.find(([other]) => other === of)?.[1], `${of} of a snapshot`)
    }
    const options = chosen === undefined ? {} : { snapshot: chosen.snapshot }
    this.#reading('read', () => {
      switch (random.below(4)) {
        case 0:
          check(db.getSync(key, options))
          break
        case 1: {
          const keys = [key, keyOf(random.below(KEYS)), keyOf(random.below(KEYS))]
          db.getManySync(keys, options).forEach((found, i) => check(found, keys[i]!))
          break
        }
        case 2: {
          const has = db.hasSync(key, options)
          if (has !== (db.getSync(key, options) !== undefined)) assert.fail(`has(${key}) is ${has}, get says otherwise`)
          break
        }
        case 3:
          if (chosen === undefined) this.#expected.checkAll([...db.entriesSync()])
          else sameEntries([...db.entriesSync(options)], chosen.entries)
          break
      }
    })
  }

  /** A read that gives the event loop its turns, beside everything else. */
  readSlowly(): void {
    const db = this.#db!
    this.#reading('slow read', () => {
      const open = this.#openIterator(db)
      const counted = this.#world.random.below(3) === 0
      if (counted) {
        void open.iterator.close()
        const using = db.snapshot()
        const expected = [...db.entriesSync({ snapshot: using })].length
        this.#follow('count', db.count({ snapshot: using }).then(count => {
          using.close()
          assert.equal(count, expected)
        }), this.#troubles())
        return
      }
      this.#follow('drain', open.iterator.all().then(found => sameEntries(found, open.rest)), this.#troubles())
    })
  }

  /** `started`: it has read its first entries, so that it holds windows. */
  openIterator(started = false): void {
    if (this.#iterators.length >= 16) return
    this.#reading('iterator', () => this.#iterators.push(this.#openIterator(this.#db!)))
    if (started) this.#advance(this.#iterators.at(-1))
  }

  /** Take a few entries of an open iterator, or close it. */
  advance(): void {
    const { random } = this.#world
    const at = random.below(Math.max(1, this.#iterators.length))
    const open = this.#iterators[at]
    if (open === undefined) return
    if (random.below(8) === 0) {
      this.#iterators.splice(at, 1)
      void open.iterator.close()
      return
    }
    this.#advance(open)
  }

  #advance(open: OpenIterator | undefined): void {
    if (open === undefined) return
    this.#reading('advance', () => {
      const found = open.iterator.nextvSync(this.#world.random.between(1, 7))
      sameEntries(found, open.rest.slice(0, found.length))
      assert.ok(found.length > 0 || open.rest.length === 0, `an iterator has ended ${open.rest.length} entries early`)
      open.rest = open.rest.slice(found.length)
    })
  }

  snapshot(): void {
    if (this.#snapshots.length >= 3) {
      this.#snapshots.shift()!.snapshot.close()
      return
    }
    this.#reading('snapshot', () => {
      const snapshot = this.#db!.snapshot()
      try {
        this.#snapshots.push({ snapshot, entries: this.#entriesNow(snapshot) })
      } catch (error) {
        snapshot.close()
        throw error
      }
    })
  }

  // ---- looking after it

  flush(): void {
    this.#follow('flush', this.#db!.flush(), this.#troubles())
  }

  compact(): void {
    this.#follow('compact', this.#db!.compact(), this.#troubles())
  }

  /** With nothing wrong any more: everything is as it must be, and the iterators and snapshots left open see what they saw. */
  async finish(): Promise<void> {
    const { host } = this.#world
    const db = this.#db!
    await this.settled()
    for (const { iterator, rest } of this.#iterators.splice(0)) sameEntries(await within(host, iterator.all()), rest)
    for (const { snapshot, entries } of this.#snapshots.splice(0)) {
      sameEntries(await within(host, db.iterator({ snapshot }).all()), entries)
      snapshot.close()
    }
    this.#expected.adopt(await within(host, db.iterator().all()))
    sameEntries((await within(host, db.iterator({ reverse: true }).all())).reverse(), this.#expected.exact())
    // A flush that failed is tried again after a while.
    host.advance(20_000)
    await host.idle()
    // A store whose trouble has gone takes writes, unless it does not know what is on its disk.
    this.put(100)
    await this.settled()
    if (this.#isReadOnly) return
    await within(host, db.flush())
    assert.deepEqual((await within(host, db.verify())).errors, [])
    await host.idle()
    if (this.#world.faults === 0) checkFiles(host, db)
  }

  // ---- between

  #put(key: string, value: string, sync: boolean): void {
    this.#write(`put ${key} ${value.length}`, new Map([[key, value]]), undefined, sync,
      (db, options) => db.put(key, value, options), (db, options) => db.putSync(key, value, options))
  }

  #del(key: string, sync: boolean): void {
    this.#write(`del ${key}`, new Map([[key, undefined]]), undefined, sync,
      (db, options) => db.del(key, options), (db, options) => db.delSync(key, options))
  }

  #write(
    what: string, effects: ReadonlyMap<string, string | undefined>, range: ModelRange | undefined, sync: boolean,
    call: (db: Spillway, options: WriteOptions) => Promise<void>, callSync: (db: Spillway, options: WriteOptions) => void,
  ): void {
    const { random, durabilities, log } = this.#world
    const db = this.#db!
    const durability = durabilities[random.below(durabilities.length)]!
    const name = `#${this.#world.random.next32().toString(36)} ${what} ${durability}${sync ? ' sync' : ''}`
    const attempt = this.#expected.add(name, effects, range)
    if (sync) {
      try {
        callSync(db, { durability })
        attempt.outcome = 'done'
      } catch (error) {
        this.#refused(attempt, error, durability, undefined)
      }
      log(`${this.name} ${name} ${attempt.outcome}`)
      return
    }
    const controller = random.below(4) === 0 ? new AbortController() : undefined
    const aborted = controller === undefined ? undefined : { controller, name }
    if (aborted !== undefined) this.#aborts.push(aborted)
    const signal = controller?.signal
    log(`${this.name} ${name}`)
    const written = call(db, { durability, ...(signal === undefined ? {} : { signal }) })
    const end = written.then(
      () => { attempt.outcome = 'done' },
      (error: unknown) => this.#refused(attempt, error, durability, signal),
    )
    this.#watch(end.then(() => {
      if (aborted !== undefined) this.#aborts = this.#aborts.filter(other => other !== aborted)
      log(`${this.name} ${name} ${attempt.outcome}`)
    }))
  }

  /** Whether it may have failed so, and what that means for what is there. */
  #refused(attempt: Attempt, thrown: unknown, durability: Durability, signal: AbortSignal | undefined): void {
    try {
      const { code, cause, message } = assertTyped(thrown) as SpillwayError
      attempt.outcome = 'refused'
      if (code === 'SPILLWAY_CLOSED') {
        assert.ok(!this.isOpen, `${attempt.name} is refused because the store is closed, which it is not`)
        return
      }
      if (code === 'SPILLWAY_ABORTED' && signal?.aborted === true) {
        assert.equal(cause, signal.reason, 'the cause is the reason of the abort')
        return
      }
      if (!DISK_ERRORS.includes(code) || this.#world.faults === this.#faultsAtOpen) assert.fail(`${this.name}: ${attempt.name} failed with ${code}: ${message}`)
      if (code === 'SPILLWAY_READ_ONLY') this.#isReadOnly = true
      // The frame may be in the log although it could not be finished or made durable.
      else if (code === 'SPILLWAY_UNAVAILABLE' || durability === 'disk') attempt.outcome = 'doubtful'
    } catch (error) {
      this.#world.fail(error)
    }
  }

  /** Errors that a call may end with now: none while the disk is well. */
  #troubles(): () => readonly string[] {
    const before = this.#faultsAtOpen
    const db = this.#db
    return () => [
      ...this.#world.faults > before ? DISK_ERRORS : [],
      ...this.#db !== db || db === undefined ? ['SPILLWAY_CLOSED', 'SPILLWAY_ABORTED'] : [],
    ]
  }

  #follow(what: string, promise: Promise<unknown>, troubles: () => readonly string[]): void {
    const { log } = this.#world
    log(`${this.name} ${what} begins`)
    this.#watch(promise.then(() => log(`${this.name} ${what} ends`), (error: unknown) => {
      try {
        const { code } = assertTyped(error, troubles())
        if (code === 'SPILLWAY_READ_ONLY') this.#isReadOnly = true
        log(`${this.name} ${what} ${code}`)
      } catch (unexpected) {
        this.#world.fail(new Error(`${this.name}: ${what}: ${(unexpected as Error).message}`, { cause: unexpected }))
      }
    }))
  }

  #watch(promise: Promise<void>): void {
    const watched = promise.then(() => { this.#pending.delete(watched) })
    this.#pending.add(watched)
  }

  /** A read now: it may fail for the disk's sake only. */
  #reading(what: string, read: () => void): void {
    try {
      read()
      this.#world.log(`${this.name} ${what}`)
    } catch (error) {
      assertTyped(error, this.#world.faults > this.#faultsAtOpen ? ['SPILLWAY_UNAVAILABLE'] : [])
      this.#world.log(`${this.name} ${what} ${(error as SpillwayError).code}`)
    }
  }

  #openIterator(db: Spillway): OpenIterator {
    const snapshot = db.snapshot()
    try {
      const entries = this.#entriesNow(snapshot)
      const { random } = this.#world
      const from = keyOf(random.below(KEYS))
      const range: ModelRange = [{}, {}, { gte: from }, { lt: from }][random.below(4)]!
      const reverse = random.below(3) === 0
      const rest = entries.filter(([key]) => isInside(key, range))
      if (reverse) rest.reverse()
      return { iterator: db.iterator({ ...range, reverse, snapshot }), rest }
    } finally {
      snapshot.close()
    }
  }

  /** What the store holds at this moment. With writes under way only it can tell which of them have taken effect. */
  #entriesNow(snapshot: Snapshot): [string, string][] {
    if (this.#expected.isExact) return this.#expected.exact()
    const entries = [...this.#db!.entriesSync({ snapshot })]
    this.#expected.checkAll(entries)
    return entries
  }
}

function keyOf(number: number): string {
  return `k${String(number).padStart(2, '0')}`
}

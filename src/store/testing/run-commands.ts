/**
 * Runs a script on a store and on a model side by side and compares every answer.
 *
 * Iterators and snapshots see the model as of their creation. Commands that name one that is not open do nothing, so that a
 * script can be shortened freely.
 */
import assert from 'node:assert/strict'
import type { SpillwayIterator } from '../scan/iterator.ts'
import type { Snapshot } from '../api/snapshots.ts'
import type { Spillway } from '../spillway.ts'
import type { BatchOperation, Durability } from '../api/options.ts'
import { numberedKey } from './commands.ts'
import type { Command, Write } from './commands.ts'
import { Model, compare, isInside } from './model.ts'
import type { ModelRange } from './model.ts'
import type { Setup } from './setup.ts'
import { assertTyped, checkEmpty, checkFiles, checkLedger, turns } from './sim.ts'

interface OpenIterator {
  iterator: SpillwayIterator<[string, string]>
  range: ModelRange
  /** All that is in its range, as of its creation. */
  seen: [string, string][]
  /** What is still to come. */
  rest: [string, string][]
  left: number
}

export class Runner {
  readonly #setup: Setup
  #db!: Spillway
  readonly #model = new Model()
  #snapshots: { snapshot: Snapshot, model: Model }[] = []
  #iterators: OpenIterator[] = []
  /** Flushes and merges not yet awaited. */
  #background: Promise<void>[] = []

  constructor(setup: Setup) {
    this.#setup = setup
  }

  async run(commands: readonly Command[]): Promise<void> {
    this.#db = await this.#setup.open()
    for (const command of commands) {
      await this.#step(command)
      checkLedger(this.#db)
    }
    await this.#finish()
    await this.#reopen()
    await this.#finish()
    await this.#close()
  }

  async #step(command: Command): Promise<void> {
    const db = this.#db
    switch (command.kind) {
      case 'write':
        await this.#within(this.#write(command.write, command.sync, command.durability))
        break
      case 'burst':
        await this.#within(Promise.all(command.writes.map(({ write, sync, durability }) => this.#write(write, sync, durability))))
        break
      case 'snapshot':
        this.#snapshots.push({ snapshot: db.snapshot(), model: this.#model.copy() })
        break
      case 'closeSnapshot':
        for (const { snapshot } of this.#snapshots.splice(Math.max(0, command.at), 1)) snapshot.close()
        break
      case 'get': {
        const { model, options } = this.#at(command.at)
        const found = command.sync ? db.getSync(command.key, options) : await db.get(command.key, options)
        sameValue(found, model.get(command.key), command.key)
        break
      }
      case 'has': {
        const { model, options } = this.#at(command.at)
        const found = command.sync ? db.hasSync(command.key, options) : await db.has(command.key, options)
        assert.equal(found, model.get(command.key) !== undefined)
        break
      }
      case 'getMany': {
        const { model, options } = this.#at(command.at)
        const found = command.sync ? db.getManySync(command.keys, options) : await db.getMany(command.keys, options)
        assert.equal(found.length, command.keys.length)
        command.keys.forEach((key, i) => sameValue(found[i], model.get(key), key))
        break
      }
      case 'read':
        await this.#read(command)
        break
      case 'count': {
        const { model, options } = this.#at(command.at)
        assert.equal(await this.#within(db.count({ ...command.range, ...options })), model.read(command.range).length)
        break
      }
      case 'iterator': {
        const { model, options } = this.#at(command.at)
        const { limit = -1, ...bounds } = command.range
        const seen = model.read(bounds)
        this.#iterators.push({
          iterator: db.iterator({ ...command.range, ...options }), range: command.range, seen, rest: seen, left: limit < 0 ? Infinity : limit,
        })
        break
      }
      case 'nextv': {
        const open = this.#iterators[command.at]
        if (open === undefined) break
        const found = command.sync ? open.iterator.nextvSync(command.size) : await this.#within(open.iterator.nextv(command.size))
        const most = Math.min(command.size, open.left, open.rest.length)
        assert.ok(found.length <= most && (found.length > 0 || most === 0), `nextv(${command.size}) gave ${found.length} of ${most}`)
        sameEntries(found, take(open, found.length))
        break
      }
      case 'next': {
        const open = this.#iterators[command.at]
        if (open === undefined) break
        const found = await this.#within(open.iterator.next())
        sameEntries(found === undefined ? [] : [found], take(open, 1))
        break
      }
      case 'seek': {
        const open = this.#iterators[command.at]
        if (open === undefined) break
        open.iterator.seek(command.key)
        const isBefore = open.range.reverse === true
          ? (key: string): boolean => compare(key, command.key) > 0
          : (key: string): boolean => compare(key, command.key) < 0
        open.rest = isInside(command.key, open.range) ? open.seen.filter(([key]) => !isBefore(key)) : []
        break
      }
      case 'closeIterator':
        for (const { iterator } of this.#iterators.splice(Math.max(0, command.at), 1)) await iterator.close()
        break
      case 'flush':
        await this.#start(db.flush(), command.wait)
        break
      case 'compact':
        await this.#start(db.compact(command.range), command.wait)
        break
      case 'turns':
        await turns(command.count)
        break
      case 'reopen':
        await this.#reopen()
        break
    }
  }

  /** Resolves when the store has acknowledged it; the model has it at once, as later calls must find it. */
  #write(write: Write, sync: boolean, durability: Durability): Promise<void> {
    const db = this.#db
    const model = this.#model
    const options = { durability }
    switch (write.kind) {
      case 'put': {
        const value = valueOf(write.label, write.size)
        model.put(write.key, value)
        if (!sync) return db.put(write.key, value, options)
        db.putSync(write.key, value, options)
        break
      }
      case 'del':
        model.del(write.key)
        if (!sync) return db.del(write.key, options)
        db.delSync(write.key, options)
        break
      case 'deleteRange':
        model.deleteRange(write.range)
        if (!sync) return db.deleteRange(write.range, options)
        db.deleteRangeSync(write.range, options)
        break
      case 'batch':
      case 'fill': {
        const operations = operationsOf(write)
        for (const operation of operations) {
          if (operation.type === 'put') model.put(operation.key, operation.value)
          else model.del(operation.key)
        }
        if (!sync) return db.batch(operations, options)
        db.batchSync(operations, options)
        break
      }
    }
    return Promise.resolve()
  }

  async #read({ range, at, how }: Command & { kind: 'read' }): Promise<void> {
    const db = this.#db
    const { model, options } = this.#at(at)
    const expected = model.read(range)
    const all = { ...range, ...options }
    const found: [string, string][] = []
    switch (how) {
      case 'all':
        found.push(...await this.#within(db.iterator(all).all()))
        break
      case 'forAwait':
        for await (const entry of db.iterator(all)) found.push(entry)
        break
      case 'entriesSync':
        for (const entry of db.entriesSync(all)) found.push(entry)
        break
      case 'keys':
        assert.deepEqual(await this.#within(db.keys(all).all()), expected.map(([key]) => key))
        return
      case 'values':
        for (const [i, value] of (await this.#within(db.values(all).all())).entries()) found.push([expected[i]?.[0] ?? `entry ${i}`, value])
        break
      case 'next': {
        await using iterator = db.iterator(all)
        for (let entry = await iterator.next(); entry !== undefined; entry = await iterator.next()) found.push(entry)
        break
      }
    }
    sameEntries(found, expected)
  }

  async #start(work: Promise<void>, wait: boolean): Promise<void> {
    if (wait) {
      await this.#within(work)
    } else {
      // Its error is checked later; until then it must not count as unhandled.
      work.catch(() => {})
      this.#background.push(work)
    }
  }

  async #reopen(): Promise<void> {
    await this.#close()
    this.#snapshots = []
    this.#iterators = []
    for (const result of await this.#within(Promise.allSettled(this.#background.splice(0)))) {
      if (result.status === 'rejected') assertTyped(result.reason, ['SPILLWAY_CLOSED', 'SPILLWAY_ABORTED'])
    }
    this.#db = await this.#setup.open()
  }

  async #close(): Promise<void> {
    await this.#within(this.#db.close())
    checkEmpty(this.#db)
  }

  /** Let everything under way end, and compare all there is. */
  async #finish(): Promise<void> {
    const db = this.#db
    await this.#within(Promise.all(this.#background.splice(0)))
    const snapshots = this.#snapshots
    for (const { snapshot, model } of snapshots) sameEntries(await db.iterator({ snapshot }).all(), model.read())
    for (const open of this.#iterators.splice(0)) sameEntries(await open.iterator.all(), take(open, Infinity))
    for (const { snapshot } of snapshots.splice(0)) snapshot.close()
    sameEntries(await db.iterator().all(), this.#model.read())
    sameEntries(await db.iterator({ reverse: true }).all(), this.#model.read({ reverse: true }))
    assert.deepEqual((await this.#within(db.verify())).errors, [])
    const { backgroundErrors, lastBackgroundError } = db.stats()
    assert.equal(backgroundErrors, 0, lastBackgroundError)
    await this.#setup.atRest(() => checkFiles(this.#setup.host, db))
  }

  #at(at: number): { model: Model, options: { snapshot?: Snapshot } } {
    const found = this.#snapshots[at]
    return found === undefined ? { model: this.#model, options: {} } : { model: found.model, options: { snapshot: found.snapshot } }
  }

  #within<T>(promise: Promise<T>): Promise<T> {
    return this.#setup.within(promise)
  }
}

function operationsOf(write: Write & { kind: 'batch' | 'fill' }): BatchOperation<string, string>[] {
  if (write.kind === 'fill') {
    const { from, count, label, size } = write
    return Array.from({ length: count }, (_, i) => ({ type: 'put', key: numberedKey(from + i), value: valueOf(label + i, size) }))
  }
  return write.operations.map(operation =>
    operation.type === 'put' ? { type: 'put', key: operation.key, value: valueOf(operation.label, operation.size) } : operation)
}

/** Text of a given length that no other label gives (except the shortest). */
export function valueOf(label: number, size: number): string {
  const word = `${label}-`
  return word.repeat(Math.ceil(size / word.length)).slice(0, size)
}

function take(open: OpenIterator, count: number): [string, string][] {
  const taken = open.rest.slice(0, Math.min(count, open.left))
  open.rest = open.rest.slice(taken.length)
  open.left -= taken.length
  return taken
}

/** Values may be long: a difference names the places, not the texts. */
export function sameEntries(found: readonly [string, string][], expected: readonly [string, string][]): void {
  assert.deepEqual(found.map(shorten), expected.map(shorten))
  found.forEach(([key, value], i) => sameValue(value, expected[i]![1], key))
}

function sameValue(found: string | undefined, expected: string | undefined, key: string): void {
  if (found === expected) return
  assert.fail(`key ${JSON.stringify(key)}: found ${outline(found)}, expected ${outline(expected)}`)
}

function shorten([key, value]: [string, string]): string {
  return `${key} = ${outline(value)}`
}

function outline(value: string | undefined): string {
  return value === undefined ? 'nothing' : `${value.length} characters from ${JSON.stringify(value.slice(0, 12))}`
}

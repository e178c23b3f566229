/** Iterators, snapshots and transactions that the program lost give back what they held once they are collected, with one warning. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { LossRegistry } from '../../host/host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { openSim, simHost, within } from '../testing/sim.ts'
import type { Spillway } from '../spillway.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-lost-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** A registry that a test tells what was collected. */
class TestRegistry implements LossRegistry {
  readonly registered = new Map<object, { object: WeakRef<object>, held: object }>()
  readonly #lost: (held: object) => void

  constructor(lost: (held: object) => void) {
    this.#lost = lost
  }

  register(object: object, held: object, token: object): void { this.registered.set(token, { object: new WeakRef(object), held }) }
  unregister(token: object): void { this.registered.delete(token) }

  /** As if all of them had been collected. */
  loseAll(): void {
    for (const [token, { held }] of [...this.registered]) {
      this.registered.delete(token)
      this.#lost(held)
    }
  }
}

interface World { host: SimHost, db: Spillway, registry: TestRegistry, warnings: string[] }

async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const host = simHost()
  const warnings: string[] = []
  const registries: TestRegistry[] = []
  host.warnOnce = code => { warnings.push(code) }
  Object.assign(host, { lossRegistry: (lost: (held: object) => void) => {
    const registry = new TestRegistry(lost)
    registries.push(registry)
    return registry
  } })
  const db = await openSim(host)
  for (let i = 0; i < 100; i++) db.putSync(`key ${i}`, `value ${i}`)
  await within(host, db.flush())
  // The registry is made for the first handle that is watched.
  db.snapshot().close()
  assert.equal(registries.length, 1)
  await work({ host, db, registry: registries[0]!, warnings })
  await within(host, db.close())
}

/** So long that what is still open is no longer new. */
function later(host: SimHost): void { host.advance(20) }

test('an iterator that is closed soon is never watched; one that stays open is, until it is closed', () => withWorld(async ({ host, db, registry }) => {
  for (let i = 0; i < 10; i++) {
    await db.iterator({ limit: 3 }).all()
    for (const _ of db.entriesSync()) break
    for await (const _ of db.iterator()) break
  }
  assert.equal(registry.registered.size, 0)
  later(host)
  assert.equal(registry.registered.size, 0)
  const open = Array.from({ length: 5 }, () => db.iterator())
  await open[0]!.next()
  later(host)
  assert.equal(registry.registered.size, 5)
  const more = db.keys()
  later(host)
  assert.equal(registry.registered.size, 6)
  for (const iterator of [...open, more]) await iterator.close()
  assert.equal(registry.registered.size, 0)
  assert.equal(db.stats().iterators, 0)
}))

test('what is lost is closed, all of it is given back, and the warning has a code', () => withWorld(async ({ host, db, registry, warnings }) => {
  const before = db.memory().accounts['iterators']!.bytes
  const iterator = db.iterator()
  await iterator.next()
  const snapshot = db.snapshot()
  const transaction = await within(host, db.begin())
  await within(host, transaction.put('own', 'write'))
  const own = transaction.iterator()
  await own.next()
  later(host)
  assert.deepEqual([db.stats().iterators, db.stats().snapshots.open, db.stats().transactions.open], [2, 4, 1])
  registry.loseAll()
  assert.deepEqual([db.stats().iterators, db.stats().snapshots.open, db.stats().transactions.open], [0, 0, 0])
  assert.equal(db.memory().accounts['iterators']!.bytes, before)
  assert.deepEqual(new Set(warnings), new Set(['SPILLWAY_NOT_CLOSED']))
  assert.equal(transaction.state, 'aborted')
  assert.equal(snapshot.closed, true)
  // Closing what is closed is fine, and so is losing it.
  snapshot.close()
  await iterator.close()
  await transaction.abort()
  assert.equal(await within(host, db.has('own')), false)
}))

test('where handles are watched the warning names the line that made each, once a place', async () => {
  const host = simHost()
  const registries: TestRegistry[] = []
  const messages: string[] = []
  host.warnOnce = (_code, message) => { messages.push(message) }
  Object.assign(host, { isDebug: true, lossRegistry: (lost: (held: object) => void) => {
    const registry = new TestRegistry(lost)
    registries.push(registry)
    return registry
  } })
  const db = await openSim(host, { budget: '16 MiB' })
  const iterator = db.iterator()
  const snapshot = db.snapshot()
  const transaction = await within(host, db.begin())
  later(host)
  registries[0]!.loseAll()
  assert.deepEqual(messages.map(message => /^(an iterator|a snapshot|a transaction) of a Spillway store, made at .*lost-handles\.test\.js:\d+:\d+\)?, was dropped/.exec(message)?.[1]).sort(), ['a snapshot', 'a transaction', 'an iterator'])
  assert.ok(snapshot.closed && transaction.state === 'aborted')
  await iterator.close()
  await within(host, db.close())
  assert.equal(db.memory().accounts['profiler']!.bytes, 0)
})

test('what was closed, also with its store, is lost without a warning', () => withWorld(async ({ host, db, registry, warnings }) => {
  const iterator = db.iterator()
  const snapshot = db.snapshot()
  const committed = await within(host, db.begin())
  await within(host, committed.put('k', 'v'))
  await within(host, committed.commit())
  const aborted = await within(host, db.begin())
  await within(host, aborted.abort())
  later(host)
  iterator.closeSync()
  assert.equal(registry.registered.size, 1)
  const open = db.keys()
  later(host)
  await within(host, db.close())
  registry.loseAll()
  assert.deepEqual(warnings, [])
  assert.equal(snapshot.closed, true)
  await open.close()
}))

test('nothing that the store keeps leads to a handle: dropped ones are collected, and one warning says so', () => {
  const program = `
    import { setFlagsFromString } from 'node:v8'
    import { runInNewContext } from 'node:vm'
    import { Spillway } from ${JSON.stringify(new URL('../spillway.js', import.meta.url).href)}
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc')
    const db = await Spillway.open(${JSON.stringify(join(root, 'store'))}, { budget: '8 MiB' })
    for (let i = 0; i < 1000; i++) db.putSync('key ' + i, 'value')
    const warnings = []
    process.on('warning', warning => warnings.push([warning.name, warning.code, /dropped without being closed/.test(warning.message)]))
    const turn = () => new Promise(resolve => setTimeout(resolve, 2))
    const drops = {
      iterator: async () => { await db.iterator().next() },
      'iterator that was never read': () => { db.iterator() },
      'loop that was begun': async () => { await db.iterator()[Symbol.asyncIterator]().next() },
      'synchronous loop': () => { db.entriesSync().next() },
      'iterator over some turns': async () => { const it = db.keys(); for (let i = 0; i < 15; i++) await turn(); await it.nextv(10); await turn() },
      snapshot: () => { db.snapshot() },
      'snapshot that was read at': async () => { await db.get('key 1', { snapshot: db.snapshot() }) },
      transaction: async () => { const tx = await db.begin(); await tx.put('a', 'b') },
      'transaction with an iterator': async () => { const tx = await db.begin(); await tx.put('c', 'd'); await tx.iterator().next() },
    }
    const open = () => { const { iterators, snapshots, transactions } = db.stats(); return iterators + snapshots.open + transactions.open }
    const left = {}
    for (const [name, drop] of Object.entries(drops)) {
      await drop()
      for (let i = 0; i < 100 && open() > 0; i++) { await turn(); gc(); await turn() }
      left[name] = open()
    }
    await db.put('after', 'all')
    await turn()
    console.log(JSON.stringify({ left, warnings, names: Object.keys(drops).length }))
    await db.close()
  `
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 60_000, cwd: fileURLToPath(new URL('..', import.meta.url)) })
  assert.equal(status, 0, stderr)
  const { left, warnings, names } = JSON.parse(stdout) as { left: Record<string, number>, warnings: unknown[], names: number }
  assert.equal(Object.keys(left).length, names)
  for (const [name, open] of Object.entries(left)) assert.equal(open, 0, name)
  assert.deepEqual(warnings, [['SpillwayWarning', 'SPILLWAY_NOT_CLOSED', true]])
})

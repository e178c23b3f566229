/** Opening on a budget that other stores share: what it waits for, and what it leaves behind when it fails. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import diagnostics from 'node:diagnostics_channel'
import { fileError } from '../../host/file-error.ts'
import type { JobRunner } from '../../host/host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { Background } from '../background/background.ts'
import { GroupCommit } from '../write/group-commit.ts'
import { MemoryArbiter } from '../engine/memory-arbiter.ts'
import type { Tenant } from '../engine/tenant.ts'
import { Spillway } from '../spillway.ts'
import { assertTyped, checkLedger, simHost, turns, within } from '../testing/sim.ts'

const BUDGET = '8 MiB'
const VALUE = 'x'.repeat(4000)
const MAX_WAITS = 2000
/** More than a store takes, less than what is left free for readers beside an arena. */
const LEFT_BYTES = 700 * 1024

/** A host on which a call that waits without end fails. */
function patientHost(): SimHost {
  const host = simHost({ seed: 3 })
  const make = host.runner.bind(host)
  host.runner = options => {
    const runner: JobRunner = make(options)
    const pump = runner.pump.bind(runner)
    let waits = 0
    runner.pump = block => {
      if (++waits > MAX_WAITS) throw new Error('it waits without end')
      return pump(block)
    }
    return runner
  }
  return host
}

function open(host: SimHost, directory: string, budget: Budget): Promise<Spillway> {
  return within(host, Spillway.open(directory, { host, budget, blockBytes: 1024 }))
}

/** A store whose log has to be replayed. */
async function makeLogged(host: SimHost, directory: string): Promise<void> {
  const db = await open(host, directory, new Budget(BUDGET))
  await within(host, db.put('logged', 'value'))
  await within(host, db.close())
}

/** No table of this store can be made, until that is called off. */
function failTables(host: SimHost, directory: string): { off: () => void } {
  let isOn = true
  host.disk.beforeOperation = (what, path) => {
    if (isOn && what === 'create' && path.startsWith(`${directory}/`) && path.endsWith('.table')) throw fileError('EIO', 'open', path)
  }
  return { off: () => { isOn = false } }
}

/** Others have all memory but what opening a store takes: for memtables there are the two arenas of the reserve. */
function crowd(budget: Budget): { release(): void } {
  return budget.account('others', 'a test').lease(budget.totalBytes - budget.usedBytes - LEFT_BYTES)
}

/** Write until nothing more fits. Returns how many values it holds. */
function fill(db: Spillway): number {
  for (let i = 0; ; i++) {
    try {
      db.putSync(`key ${i}`, VALUE)
    } catch (error) {
      assertTyped(error, ['SPILLWAY_UNAVAILABLE'])
      return i
    }
  }
}

/** A store that holds all arenas there are and cannot flush, and one whose log has to be replayed. */
async function held(): Promise<{ host: SimHost, budget: Budget, holder: Spillway, others: { release(): void }, failure: { off: () => void }, last: string }> {
  const host = patientHost()
  await makeLogged(host, '/b')
  const budget = new Budget(BUDGET)
  const holder = await open(host, '/a', budget)
  const failure = failTables(host, '/a')
  const others = crowd(budget)
  const last = `key ${fill(holder) - 1}`
  return { host, budget, holder, others, failure, last }
}

test('a store whose log finds no memory, because another one cannot flush, is refused with the reason', async () => {
  const { host, budget, holder, others, last } = await held()
  const before = budget.usedBytes
  await assert.rejects(open(host, '/b', budget), error => {
    assertTyped(error, ['SPILLWAY_UNAVAILABLE'])
    assert.match((error as Error).message, /the store in \/a cannot give back: .*EIO.*Fix that, close the store, or raise the budget/)
    return true
  })
  assert.equal(budget.usedBytes, before)
  checkLedger(holder)
  assert.equal(holder.getSync(last), VALUE)
  await within(host, holder.close())
  const opened = await open(host, '/b', budget)
  assert.equal(opened.getSync('logged'), 'value')
  await within(host, opened.close())
  others.release()
  assert.equal(budget.usedBytes, 0)
})

test('a store whose log finds no memory has another one flush, whose disk works again', async () => {
  const { host, budget, holder, others, failure, last } = await held()
  failure.off()
  const opened = await open(host, '/b', budget)
  assert.equal(opened.getSync('logged'), 'value')
  assert.equal(holder.getSync(last), VALUE)
  for (const db of [holder, opened]) await within(host, db.close())
  others.release()
  assert.equal(budget.usedBytes, 0)
})

test('a store whose log finds no memory, because another one takes no more writes, is refused with the reason', async () => {
  const { host, budget, holder, others } = await held()
  // It tries again ever later, and gives up.
  for (let i = 0; i < 8; i++) {
    host.advance(10_000)
    await within(host, turns(20))
  }
  assert.throws(() => holder.putSync('key', 'value'), { code: 'SPILLWAY_READ_ONLY' })
  await assert.rejects(open(host, '/b', budget), { code: 'SPILLWAY_UNAVAILABLE', message: /the store in \/a cannot give back/ })
  await within(host, holder.close())
  others.release()
  assert.equal(budget.usedBytes, 0)
})

/** Where an open fails, and what fails it: it returns how to call that off. */
const FAILURES: Record<string, (host: SimHost, t: TestContext) => () => void> = {
  'before its log begins': host => {
    host.disk.beforeOperation = (what, path) => {
      if (what === 'create' && path.startsWith('/b/') && path.endsWith('.log')) throw fileError('EIO', 'open', path)
    }
    return () => { host.disk.beforeOperation = undefined }
  },
  'when all its parts are there': (_, t) => {
    const { mock } = t.mock.method(Background.prototype, 'schedule', () => { throw fileError('EIO', 'read', '/b') })
    return () => { mock.restore() }
  },
}

for (const part of ['the log', 'the jobs', 'the lock'] as const) {
  test(`an open that fails gives back the rest when ${part} cannot be given back, and says why it failed`, async t => {
    const host = simHost({ seed: 5 })
    await makeLogged(host, '/b')
    const budget = new Budget('12 MiB')
    const callOff = FAILURES['when all its parts are there']!(host, t)
    const further = fileError('EIO', 'close', '/b')
    let times = 0
    const failing = async (original: () => unknown): Promise<void> => {
      times++
      await original()
      throw further
    }
    const { abandon } = GroupCommit.prototype
    const { close } = Background.prototype
    if (part === 'the log') {
      t.mock.method(GroupCommit.prototype, 'abandon', function (this: GroupCommit) {
        times++
        abandon.call(this)
        throw further
      })
    }
    if (part === 'the jobs') t.mock.method(Background.prototype, 'close', function (this: Background) { return failing(() => close.call(this)) })
    const openDirectory = host.openDirectory.bind(host)
    if (part === 'the lock') {
      host.openDirectory = path => {
        const directory = openDirectory(path)
        return {
          ...directory,
          async lock() {
            const held = await directory.lock()
            return { ...held, release: () => failing(() => held.release()) }
          },
        }
      }
    }
    const told: unknown[] = []
    const listen = (message: unknown): void => { told.push((message as { error: Error }).error) }
    diagnostics.subscribe('spillway:error', listen)
    try {
      await assert.rejects(open(host, '/b', budget), { code: 'SPILLWAY_UNAVAILABLE', message: /opening \/b failed: .*EIO.*read/ })
    } finally {
      diagnostics.unsubscribe('spillway:error', listen)
    }
    assert.equal(times, 1)
    assert.deepEqual(told, [further])
    assert.equal(budget.usedBytes, 0)
    t.mock.restoreAll()
    host.openDirectory = openDirectory
    callOff()
    const opened = await open(host, '/b', budget)
    assert.equal(opened.getSync('logged'), 'value')
    await within(host, opened.close())
    assert.equal(budget.usedBytes, 0)
  })
}

for (const [when, fail] of Object.entries(FAILURES)) {
  test(`fifty opens that fail ${when} leave the budget and the other stores as they were`, async t => {
    const host = simHost({ seed: 4 })
    await makeLogged(host, '/b')
    const budget = new Budget('12 MiB')
    const tenants = new Set<Tenant>()
    const { admit, dismiss } = MemoryArbiter.prototype
    t.mock.method(MemoryArbiter.prototype, 'admit', function (this: MemoryArbiter, tenant: Tenant) {
      tenants.add(tenant)
      admit.call(this, tenant)
    })
    t.mock.method(MemoryArbiter.prototype, 'dismiss', function (this: MemoryArbiter, tenant: Tenant) {
      tenants.delete(tenant)
      dismiss.call(this, tenant)
    })
    const db = await open(host, '/a', budget)
    await within(host, db.put('before', 'value'))
    // An arena that a store has had stays for the next one.
    await within(host, (await open(host, '/b', budget)).close())
    const bytes = (): [string, number][] => Object.entries(budget.report().accounts).map(([name, account]) => [name, account.bytes])
    const before = bytes()
    const files = host.files.list('/b').filter(name => name.endsWith('.log'))
    const [tenant] = tenants
    for (let i = 0; i < 50; i++) {
      const callOff = fail(host, t)
      await assert.rejects(open(host, '/b', budget), { code: 'SPILLWAY_UNAVAILABLE', message: /EIO/ })
      callOff()
      assert.ok(tenants.size === 1 && tenants.has(tenant!), 'a store that failed is asked for memory still')
      // Each claims the log buffer that the store which failed had.
      await within(host, db.put(`key ${i}`, 'value'))
    }
    assert.deepEqual(bytes(), before)
    assert.deepEqual(host.files.list('/b').filter(name => name.endsWith('.log')), files)
    const opened = await open(host, '/b', budget)
    assert.equal(opened.getSync('logged'), 'value')
    await within(host, opened.close())
    await within(host, db.close())
    assert.equal(budget.usedBytes, 0)
  })
}

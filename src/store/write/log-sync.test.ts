import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreHealth } from '../state/store-health.ts'
import type { StoreState } from '../state/store-state.ts'
import type { LogSegments } from './log-segments.ts'
import { LogSync } from './log-sync.ts'

/** A log whose syncs take what the test says, by a clock that only they move. */
class FakeLog {
  nowMs = 0
  durationMs = 0.1
  isNearlySynced = true
  error: Error | undefined
  ways = ''
  readonly core: { readonly health: StoreHealth }
  readonly log: LogSync

  constructor() {
    const core = {
      ownership: { check: () => {}, lost: undefined }, host: { clock: { nowMs: () => this.nowMs } }, files: { directory: '/db' }, health: new StoreHealth(false),
    }
    this.core = core
    this.log = new LogSync(core as unknown as StoreState, this as unknown as LogSegments)
  }

  async sync(): Promise<void> { this.#do('beside ') }
  syncNow(): void { this.#do('here ') }

  #do(way: string): void {
    this.ways += way
    this.nowMs += this.durationMs
    if (this.error !== undefined) throw this.error
  }

  one(): Promise<void> {
    return new Promise((resolve, reject) => { this.log.add({ resolve, reject }) })
  }

  async many(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.one()
  }

  async nextWay(): Promise<string> {
    this.ways = ''
    await this.one()
    return this.ways.trim()
  }
}

test('syncs run off the main thread until many in a row were quick, then on it', async () => {
  const fake = new FakeLog()
  await fake.many(32)
  assert.equal(fake.ways, 'beside '.repeat(32))
  assert.equal(await fake.nextWay(), 'here')
})

test('a disk that is never quick is never waited for in place', async () => {
  const fake = new FakeLog()
  fake.durationMs = 1
  await fake.many(200)
  assert.equal(fake.ways, 'beside '.repeat(200))
})

test('after one slow sync many are made beside again', async () => {
  const fake = new FakeLog()
  await fake.many(40)
  fake.durationMs = 20
  assert.equal(await fake.nextWay(), 'here')
  fake.durationMs = 0.1
  fake.ways = ''
  await fake.many(32)
  assert.equal(fake.ways, 'beside '.repeat(32))
  await fake.many(20)
  assert.equal(await fake.nextWay(), 'here')
})

test('what takes more than one sync of the last segment is made beside', async () => {
  const fake = new FakeLog()
  await fake.many(40)
  fake.isNearlySynced = false
  assert.equal(await fake.nextWay(), 'beside')
  fake.isNearlySynced = true
  assert.equal(await fake.nextWay(), 'here')
})

test('a sync in place that fails rejects its callers, and the store takes no more writes', async () => {
  const fake = new FakeLog()
  await fake.many(40)
  fake.error = Object.assign(new Error('input/output error'), { code: 'EIO' })
  await assert.rejects(fake.one(), /making the log durable/)
  assert.match(fake.core.health.readOnlyReason!.message, /making the log durable/)
})

test('a sync that goes well is not believed once the store takes no more writes', async () => {
  const fake = new FakeLog()
  fake.core.health.failStop(new Error('a flush has failed'))
  const refusal = { code: 'SPILLWAY_UNAVAILABLE', message: /it is unknown whether this write is durable: a flush has failed\. Close the store/ }
  assert.throws(() => fake.log.now(), refusal)
  await assert.rejects(fake.one(), refusal)
  assert.equal(fake.ways, 'here beside ')
})

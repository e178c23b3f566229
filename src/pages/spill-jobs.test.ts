/** Pages compressed by jobs while the program runs on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeHost } from '../host/node/node-host.ts'
import type { JobRunner } from '../host/host.ts'
import { SimHost } from '../host/sim/sim-host.ts'
import * as pageJobs from './page-jobs.ts'
import { IN_FLIGHT } from './page.ts'
import type { Page } from './page.ts'
import { MAX_QUEUED } from './spill-jobs.ts'
import { KIB, MIB, pageBytes, testPool } from './testing/pools.ts'
import type { TestOptions, TestPool } from './testing/pools.ts'

const SIZE = 4 * KIB
const worker = new URL(import.meta.url.endsWith('.ts') ? './testing/page-worker.ts' : './testing/page-worker.js', import.meta.url)

function runnerOf(host: SimHost): JobRunner {
  return host.runner({ worker, module: pageJobs, mode: 'worker', heapBytes: 0 })
}

function poolWithJobs(options: TestOptions = {}): TestPool & { jobs: SimHost } {
  const jobs = new SimHost()
  return { ...testPool({ runner: runnerOf(jobs), limitBytes: 1000 * SIZE, ...options }), jobs }
}

function insert({ pool }: TestPool, count: number, options = {}): Page[] {
  return Array.from({ length: count }, (_, i) => pool.insert(pageBytes(i + 1, SIZE), 0, SIZE, options))
}

function assertRight({ pool }: TestPool, pages: Page[]): void {
  const target = new Uint8Array(SIZE)
  for (let i = 0; i < pages.length; i++) {
    pool.read(pages[i]!, target, 0)
    assert.equal(Buffer.compare(target, pageBytes(i + 1, SIZE)), 0, `page ${i}`)
  }
}

test('jobs compress pages above seven eighths of the limit, which are then evicted', async () => {
  const made = poolWithJobs()
  const pages = insert(made, 900)
  const before = made.pool.stats()
  assert.deepEqual([before.spillsScheduled, before.evictionsCompressing, before.residentPages], [25, 0, 900])
  await made.jobs.idle()
  const after = made.pool.stats()
  assert.deepEqual([after.evictionsCompressing, after.residentPages, after.spillsCancelled], [25, 875, 0])
  assertRight(made, pages)
  made.close()
})

test('at most 64 spill jobs are queued; beyond that eviction runs inline', async () => {
  const made = poolWithJobs()
  const pages = insert(made, 1100)
  const before = made.pool.stats()
  assert.deepEqual([before.spillsScheduled, before.evictionsCompressing, before.residentPages], [MAX_QUEUED, 100, 1000])
  assertRight(made, pages)
  await made.jobs.idle()
  assert.equal(made.pool.stats().residentBytes + made.pool.stats().evictionsCompressing * SIZE, 1100 * SIZE)
  assertRight(made, pages)
  made.close()
})

test('freeing a queued page cancels its job and costs no write', async () => {
  const made = poolWithJobs({ stagingBytes: 3 * (SIZE + 100) })
  const pages = insert(made, 900)
  const queued = pages.filter(page => page.state === IN_FLIGHT)
  assert.equal(queued.length, 25)
  for (const page of pages) made.pool.free(page)
  const stats = made.pool.stats()
  assert.deepEqual([stats.spillsCancelled, stats.writesElided], [25, 900])
  await made.jobs.idle()
  assert.deepEqual([made.pool.stats().extentsWritten, made.pool.stats().scratchBytes, made.pool.stats().residentBytes], [0, 0, 0])
  made.close()
})

test('pinning a queued page cancels its job', async () => {
  const made = poolWithJobs()
  const pages = insert(made, 880)
  const queued = pages.filter(page => page.state === IN_FLIGHT)
  assert.equal(queued.length, 5)
  const view = made.pool.pin(queued[2]!)
  assert.equal(made.pool.stats().spillsCancelled, 1)
  await made.jobs.idle()
  assert.equal(Buffer.compare(view, pageBytes(3, SIZE)), 0)
  assert.equal(made.pool.stats().evictionsCompressing, 4)
  made.pool.unpin(queued[2]!)
  made.close()
})

test('a page is readable while its job is in flight, and stays in memory, backed, if it was read', async () => {
  const made = poolWithJobs()
  const pages = insert(made, 880)
  const inFlight = pages.filter(page => page.state === IN_FLIGHT)
  assertRight(made, pages)
  assert.equal(made.pool.stats().readFaults, 0)
  await made.jobs.idle()
  assert.deepEqual([made.pool.stats().evictionsCompressing, made.pool.stats().residentPages], [0, 880])
  assert.ok(made.pool.stats().extentsWritten >= inFlight.length)
  assertRight(made, pages)
  made.close()
})

test('short-lived pages are never queued for spill', async () => {
  const made = poolWithJobs()
  const pages = insert(made, 990, { shortLived: true })
  assert.equal(made.pool.stats().spillsScheduled, 0)
  await made.jobs.idle()
  for (const page of pages) made.pool.free(page)
  assert.deepEqual([made.pool.stats().writesElided, made.pool.stats().extentsWritten], [990, 0])
  made.close()
})

test('eager jobs run on pinned pages, yield to spills, and are cancelled by free', async () => {
  const made = poolWithJobs({ eagerBacking: true })
  const [first, second] = insert(made, 2) as [Page, Page]
  made.pool.maintain()
  assert.equal(first.state, IN_FLIGHT)
  const view = made.pool.pin(first)
  await made.jobs.idle()
  assert.deepEqual([made.pool.stats().eagerBacks, made.pool.stats().spillsScheduled, made.pool.stats().residentPages], [1, 0, 2])
  assert.equal(Buffer.compare(view, pageBytes(1, SIZE)), 0)
  made.pool.unpin(first)
  made.pool.maintain()
  assert.equal(second.state, IN_FLIGHT)
  made.pool.free(second)
  assert.deepEqual([made.pool.stats().eagerCancelled, made.pool.stats().spillsCancelled], [1, 0])
  await made.jobs.idle()
  assert.equal(made.pool.stats().eagerBacks, 1)

  insert(made, 900)
  made.pool.maintain()
  assert.equal(made.pool.stats().eagerBacks, 1, 'none while spills are queued')
  await made.jobs.idle()
  assert.equal(made.pool.stats().eagerBacks, 1)
  made.close()
})

test('the staging buffer bounds shared memory, and longer pages are evicted inline', async () => {
  const made = poolWithJobs({ limitBytes: 2 * MIB, stagingBytes: 20 * KIB })
  const long = Array.from({ length: 40 }, (_, i) => made.pool.insert(pageBytes(i + 1), 0, 64 * KIB))
  assert.deepEqual([made.pool.stats().spillsScheduled, made.pool.stats().stagingBytes], [0, 0])
  assert.equal(made.pool.stats().evictionsCompressing, 8)
  for (const page of long) made.pool.free(page)
  insert(made, 470)
  const { stagingBytes } = made.pool.stats()
  assert.ok(stagingBytes > 20 * KIB && stagingBytes < 20 * KIB + 256 * KIB)
  await made.jobs.idle()
  assert.ok(made.pool.stats().evictionsCompressing > 8)
  made.close()
  await made.jobs.idle()
  assert.equal(made.budget.usedBytes, 0)
})

test('a pool closed with jobs in flight keeps the staging lease until they end', async () => {
  const made = poolWithJobs()
  insert(made, 900)
  assert.ok(made.pool.stats().stagingBytes > 0)
  made.close()
  assert.ok(made.budget.usedBytes > 0, 'a job may still write there')
  await made.jobs.idle()
  assert.equal(made.budget.usedBytes, 0)
})

test('with a failing or closed runner all pages stay intact and eviction runs inline', async () => {
  const jobs = new SimHost()
  const runner = runnerOf(jobs)
  const made = testPool({ runner, limitBytes: 1000 * SIZE })
  const pages = insert(made, 900)
  await runner.close()
  assertRight(made, pages)
  const more = Array.from({ length: 300 }, (_, i) => made.pool.insert(pageBytes(901 + i, SIZE), 0, SIZE))
  await jobs.idle()
  assert.ok(made.pool.stats().residentBytes <= 1000 * SIZE)
  assertRight(made, [...pages, ...more])
  made.close()
  assert.equal(made.budget.usedBytes, 0)
})

test('when every page in memory is in flight, eviction takes one from its job', () => {
  const made = poolWithJobs({ limitBytes: 80 * SIZE, stagingBytes: 5 * (SIZE + 100) })
  const pages = insert(made, 80)
  assert.equal(made.pool.stats().spillsScheduled, 10)
  made.pool.setLimit(0)
  assert.deepEqual([made.pool.stats().residentBytes, made.pool.stats().spillsCancelled], [0, 10])
  assertRight(made, pages)
  made.close()
})

test('pages compressed by a real worker read back intact', async () => {
  const runner = nodeHost().runner({ worker, module: pageJobs, mode: 'worker', heapBytes: 16 * MIB })
  const made = testPool({ runner, limitBytes: 1000 * SIZE })
  const pages = insert(made, 930)
  assert.equal(made.pool.stats().spillsScheduled, 55)
  while (runner.pending > 0) runner.pump(true)
  assert.deepEqual([made.pool.stats().evictionsCompressing, made.pool.stats().residentPages], [55, 875])
  assertRight(made, pages)
  made.close()
  await runner.close()
})

test('pages free to evict do not cause spill jobs for others', async () => {
  const made = poolWithJobs()
  const backed = Array.from({ length: 900 }, () => made.pool.insertBacked(pageBytes(1, SIZE), 0, SIZE, () => {}))
  insert(made, 90)
  assert.equal(made.pool.stats().spillsScheduled, 0)
  for (const page of backed) made.pool.free(page)
  insert(made, 785)
  assert.equal(made.pool.stats().spillsScheduled, 0)
  insert(made, 10)
  assert.equal(made.pool.stats().spillsScheduled, 10)
  made.close()
})

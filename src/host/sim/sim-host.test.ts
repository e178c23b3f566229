import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpillwayError } from '../../base/errors.ts'
import * as module from '../testing/jobs.ts'
import { run, runnerContract, sharedWords } from '../testing/runner-contract.ts'
import { Random } from './random.ts'
import { SimHost } from './sim-host.ts'

const runnerOptions = { worker: module.workerUrl, module, mode: 'worker', heapBytes: 0 } as const

runnerContract('simulated', () => new SimHost().runner(runnerOptions), { isThreaded: false, isCopying: true })

/** A bit of everything, with things in flight at the same time; returns the log of operations and of events. */
async function busyRun(seed: number): Promise<string[]> {
  let host = new SimHost({ seed })
  const events: string[] = []
  host.files.makeDirectory('/db')
  const random = new Random(seed)
  for (let round = 0; round < 3; round++) {
    const runner = host.runner(runnerOptions)
    const files = ['a', 'b', 'c'].map(name => host.files.create(`/db/${name}${round}`))
    const words = sharedWords(100)
    const all: Promise<unknown>[] = []
    for (const file of files) {
      file.writeSync(new Uint8Array(3000).fill(random.next32()), 0, 3000, 0)
      all.push(file.sync().then(() => { events.push(`synced ${file.path} at ${host.clock.nowMs()}`) }))
      all.push(file.read(new Uint8Array(10), 0, 10, 0).then(() => { events.push(`read ${file.path}`) }))
      all.push(run(runner, 'mark', { words, steps: 20, id: 1 }).then(() => { events.push(`marked ${file.path}`) }))
      all.push(new Promise<void>(resolve => {
        host.scheduler.later(round, () => {
          events.push('timer')
          resolve()
        })
      }))
    }
    await Promise.all(all)
    files[0]!.writeSync(new Uint8Array(3000), 0, 3000, 500)
    host = host.crash()
    events.push(host.files.list('/db').join())
    for (const name of host.files.list('/db')) host.files.readAll(`/db/${name}`)
  }
  return [...events, ...host.disk.log]
}

test('the same seed gives the same run, another seed another', async () => {
  const first = await busyRun(11)
  assert(first.length > 60)
  assert.deepEqual(await busyRun(11), first)
  assert.notDeepEqual(await busyRun(12), first)
})

test('the log tells different bytes apart', () => {
  const lineOf = (fill: number): string => {
    const host = new SimHost()
    host.files.create('/a').writeSync(new Uint8Array(10).fill(fill), 0, 10, 0)
    return host.disk.log.at(-1)!
  }
  assert.notEqual(lineOf(1), lineOf(2))
})

test('time passes with operations, looks and sleeps, and with nothing else', () => {
  const host = new SimHost()
  const start = host.clock.nowMs()
  host.scheduler.sleepSync(250)
  assert(Math.abs(host.clock.nowMs() - start - 250) < 0.1)
  const before = host.clock.nowMs()
  host.files.list('/')
  assert(host.clock.nowMs() > before)
  for (const end = host.clock.nowMs() + 1; host.clock.nowMs() < end;) { /* a loop that waits for time ends */ }
  assert.equal(new Date(host.clock.wallMs()).getUTCFullYear(), 2030)
})

test('timers pull the clock to when they are due, in order, and can be cancelled', async () => {
  const host = new SimHost()
  const ran: string[] = []
  host.scheduler.later(2000, () => { ran.push('late') })
  host.scheduler.later(1000, () => { ran.push('early') })
  host.scheduler.later(1500, () => { ran.push('housekeeping') }, true)
  host.scheduler.later(500, () => { ran.push('cancelled') })()
  host.scheduler.soon(() => { ran.push('soon') })
  host.scheduler.microtask(() => { ran.push('microtask') })
  await host.idle()
  assert.deepEqual(ran, ['microtask', 'soon', 'early', 'housekeeping', 'late'])
  assert(host.clock.nowMs() >= 2000 && host.clock.nowMs() < 2001)
})

test('a timer that does not hold the process waits for time to pass for another reason', async () => {
  const host = new SimHost()
  let ticks = 0
  const again = (): void => {
    ticks++
    host.scheduler.later(1000, again, true)
  }
  host.scheduler.later(1000, again, true)
  await host.idle()
  assert.equal(ticks, 0)
  host.advance(3500)
  assert.equal(ticks, 3)
  host.scheduler.sleepSync(600)
  await host.idle()
  assert.equal(ticks, 4)
})

test('neither a task that returns for ever nor a timer of no delay starves the other', async () => {
  const host = new SimHost()
  let tasks = 0
  let timers = 0
  const task = (): void => { if (++tasks < 50 || timers < 50) host.scheduler.soon(task) }
  const timer = (): void => { if (++timers < 50 || tasks < 50) host.scheduler.later(0, timer) }
  task()
  timer()
  await host.idle()
  assert(tasks < 200 && timers < 200, `${tasks} tasks, ${timers} timers`)
})

test('a lock is held until release or crash, and names its holder', async () => {
  const host = new SimHost()
  host.files.makeDirectory('/db')
  const lock = await host.openDirectory('/db').lock()
  const isOwn = (error: SpillwayError): boolean => error.code === 'SPILLWAY_LOCKED' && /already open in this process/.test(error.message)
  await assert.rejects(host.openDirectory('/db/').lock(), isOwn)
  const other = new SimHost({ seed: 2, disk: host.disk })
  await assert.rejects(other.openDirectory('/db').lock(), (error: SpillwayError) => error.message.includes(`in process ${host.pid} `))
  await lock.release()
  const second = await other.openDirectory('/db').lock()
  await lock.release()
  await assert.rejects(host.openDirectory('/db').lock(), { code: 'SPILLWAY_LOCKED' })
  const next = host.crash({ lossless: true })
  await second.release()
  await (await next.openDirectory('/db').lock()).release()
  assert.throws(() => next.openDirectory('/nowhere'), { code: 'ENOENT' })
})

test('the boot changes with a power loss, not with the death of a process', () => {
  const host = new SimHost()
  const next = host.crash({ lossless: true })
  assert.equal(next.mountId(), host.mountId())
  assert.notEqual(next.crash().mountId(), host.mountId())
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostClock, HostScheduler } from '../../host/host.ts'
import { Acknowledgements } from './acknowledgements.ts'

/** A clock that stands until it is moved, and an event loop whose turns are taken by hand. */
class Bench {
  nowMs = 0
  soon: (() => void)[] = []
  timers: { dueMs: number, task: () => void }[] = []
  readonly told: string[] = []
  readonly acknowledgements: Acknowledgements

  constructor() {
    const clock: HostClock = { nowMs: () => this.nowMs, wallMs: () => 0 }
    const scheduler: HostScheduler = {
      soon: task => { this.soon.push(task) },
      microtask: task => { queueMicrotask(task) },
      later: (delayMs, task) => {
        this.timers.push({ dueMs: this.nowMs + delayMs, task })
        return () => {}
      },
      sleepSync: () => {},
    }
    this.acknowledgements = new Acknowledgements(clock, scheduler)
  }

  add(name: string, delayMs: number): void {
    this.acknowledgements.add(() => { this.told.push(name) }, delayMs)
  }

  turn(): void {
    for (const task of this.soon.splice(0)) task()
  }

  /** Only the first timer that is due. */
  fire(): void {
    const at = this.timers.findIndex(({ dueMs }) => dueMs <= this.nowMs)
    if (at >= 0) this.timers.splice(at, 1)[0]!.task()
  }
}

test('a group without a delay is told at once, until writers have kept the event loop for a while', () => {
  const bench = new Bench()
  bench.add('a', 0)
  bench.nowMs = 4
  bench.add('b', 0)
  assert.deepEqual(bench.told, ['a', 'b'])
  bench.nowMs = 6
  bench.add('c', 0)
  assert.deepEqual(bench.told, ['a', 'b'])
  bench.turn()
  assert.deepEqual(bench.told, ['a', 'b', 'c'])
})

test('groups are told in the order in which they were written, whatever their delays', () => {
  const bench = new Bench()
  bench.add('a', 5)
  bench.add('b', 0)
  bench.add('c', 2)
  bench.nowMs = 5
  bench.fire()
  assert.deepEqual(bench.told, ['a', 'b', 'c'])
})

test('groups that are due by the time one of them is told are told with it, so that their writers share the next group', () => {
  const bench = new Bench()
  bench.add('a', 2)
  bench.nowMs = 1
  bench.add('b', 2)
  bench.add('c', 9)
  bench.nowMs = 4
  bench.fire()
  assert.deepEqual(bench.told, ['a', 'b'], 'b has a timer of its own, but its time has come')
  bench.fire()
  assert.deepEqual(bench.told, ['a', 'b'], 'and c is not told before its time')
  bench.nowMs = 10
  bench.fire()
  assert.deepEqual(bench.told, ['a', 'b', 'c'])
})

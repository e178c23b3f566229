import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JobContext, JobWait } from './host.ts'
import { JobList } from './job-list.ts'

const SEED = 20240608
const context = {} as JobContext

test('every step goes to the most urgent job, among equals to the oldest, and every end is reported once', () => {
  const action = fc.oneof(fc.record({ priority: fc.nat(3), steps: fc.nat(4) }), fc.constant('step' as const))
  fc.assert(fc.property(fc.array(action, { maxLength: 60 }), actions => {
    const ran: number[] = []
    const ended: number[] = []
    const model: { id: number; priority: number; left: number }[] = []
    const module = { jobs: { *work(_: JobContext, { id, steps }: { id: number; steps: number }) {
      for (let i = 0; i < steps; i++) {
        ran.push(id)
        yield
      }
      ran.push(id)
      return id * 10
    } } }
    const list = new JobList(module, context, (id, error, result) => {
      assert.equal(error, undefined)
      assert.equal(result, id * 10)
      ended.push(id)
    })
    let nextId = 1
    const step = (): void => {
      let best: (typeof model)[number] | undefined
      for (const job of model) if (best === undefined || job.priority < best.priority) best = job
      const before = ran.length
      assert.equal(list.step(), best !== undefined)
      if (best === undefined) return
      assert.deepEqual(ran.slice(before), [best.id])
      if (best.left-- > 0) return
      model.splice(model.indexOf(best), 1)
      assert.equal(ended.at(-1), best.id)
    }
    for (const each of actions) {
      if (each === 'step') {
        step()
      } else {
        list.add(nextId, { name: 'work', args: { id: nextId, steps: each.steps }, priority: each.priority })
        model.push({ id: nextId++, priority: each.priority, left: each.steps })
      }
      assert.equal(list.size, model.length)
    }
    while (list.size > 0) step()
    assert.deepEqual(ended.sort((a, b) => a - b), Array.from({ length: nextId - 1 }, (_, i) => i + 1))
  }), { seed: SEED })
})

test('names inherited by every object are not jobs', () => {
  const errors: string[] = []
  const list = new JobList({ jobs: {} }, context, (_, error) => { errors.push(error!.message) })
  list.add(1, { name: 'constructor', args: {}, priority: 1 })
  assert.equal(errors.length, 0)
  list.step()
  assert.match(errors[0]!, /no job is named "constructor"/)
})

class Wait implements JobWait {
  isOver = false
  ended = 0
  onOver: () => void = () => {}
  failure: Error | undefined
  end(): void {
    this.ended++
    this.isOver = true
  }
  check(): void { if (this.failure !== undefined) throw this.failure }
}

test('a job that waits is passed over until its wait is over, and when all wait, one wait can be ended', () => {
  const waits = [new Wait(), new Wait()]
  const ran: string[] = []
  const module = { jobs: { *work(_: JobContext, id: number) {
    ran.push(`begin ${id}`)
    const wait = waits[id]!
    while (!wait.isOver) yield wait
    wait.check()
    ran.push(`end ${id}`)
  } } }
  const ended: [number, string | undefined][] = []
  const list = new JobList(module, context, (id, error) => ended.push([id, error?.message]))
  let ready = 0
  list.onReady = () => { ready++ }
  list.add(0, { name: 'work', args: 0, priority: 0 })
  list.add(1, { name: 'work', args: 1, priority: 1 })
  assert.deepEqual([list.step(), list.step(), list.step()], [true, true, false])
  assert.deepEqual(ran, ['begin 0', 'begin 1'])
  waits[1]!.isOver = true
  waits[1]!.failure = new Error('the disk failed')
  waits[1]!.onOver()
  assert.equal(ready, 1)
  assert.deepEqual([list.step(), list.step(), list.size], [true, false, 1])
  assert.deepEqual([list.endWait(), waits[0]!.ended, list.endWait()], [true, 1, false])
  assert.equal(list.step(), true)
  assert.deepEqual(ended, [[1, 'the disk failed'], [0, undefined]])
  assert.deepEqual(ran, ['begin 0', 'begin 1', 'end 0'])
})

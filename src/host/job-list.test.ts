import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JobContext } from './host.ts'
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

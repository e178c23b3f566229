import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { SpillQueue } from './spill-queue.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-queue-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const MIB = 1024 * 1024

test('a queue behaves like an array with push and shift, for any item sizes', () => {
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 60 }), bytes: fc.constantFrom(0, 5, 900, 40_000, 100_000) }, { noNullPrototype: true }) },
    { weight: 4, arbitrary: fc.record({ shift: fc.integer({ min: 0, max: 80 }) }, { noNullPrototype: true }) },
    { weight: 1, arbitrary: fc.constantFrom('peek' as const, 'iterate' as const, 'clear' as const) },
  )
  fc.assert(fc.property(fc.array(action, { maxLength: 30, size: 'max' }), actions => {
    const budget = new Budget(4 * MIB)
    const queue = new SpillQueue<string>({ budget, directory, encoding: 'utf8' })
    const model: string[] = []
    let count = 0
    for (const given of actions) {
      if (given === 'peek') assert.equal(queue.peek(), model[0])
      else if (given === 'iterate') assert.deepEqual([...queue], model)
      else if (given === 'clear') {
        queue.clear()
        model.length = 0
      } else if ('push' in given) {
        for (let i = 0; i < given.push; i++) {
          const item: string = `${count++}${'q'.repeat(given.bytes)}`
          model.push(item)
          assert.equal(queue.push(item), model.length)
        }
      } else {
        for (let i = 0; i < given.shift; i++) assert.equal(queue.shift(), model.shift())
      }
      assert.equal(queue.size, model.length)
      assert.ok(budget.usedBytes <= 2 * MIB)
    }
    assert.deepEqual([...queue.drain()], model)
    assert.equal(queue.shift(), undefined)
    queue.dispose()
    assert.equal(budget.usedBytes, 0)
    assert.deepEqual(readdirSync(directory), [])
  }), { seed: 71, numRuns: 40, endOnFailure: true })
})

test('items shifted before memory is full are never written', () => {
  using queue = new SpillQueue<number[]>({ budget: '8 MiB', directory })
  let next = 0
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 20_000; i++) queue.push([round * 20_000 + i, 0.5])
    for (let i = 0; i < 20_000; i++) assert.equal(queue.shift()![0], next++)
  }
  const { pages } = queue.stats()
  assert.ok(pages!.inserts > 20)
  assert.equal(pages!.writesElided, pages!.frees)
  assert.equal(pages!.extentsWritten, 0)
  assert.deepEqual(readdirSync(directory), [])
})

test('a queue much larger than its budget spills its middle, stays within the budget, and releases everything', () => {
  const budget = new Budget(4 * MIB)
  const queue = new SpillQueue<{ id: number, text: string }>({ budget, directory })
  const count = 100_000
  for (let id = 0; id < count; id++) {
    queue.push({ id, text: `item ${id} ${Math.imul(id, 2654435761) >>> 0} ${Math.imul(id, 40503) >>> 0}` })
    if (id % 1000 === 0) assert.ok(budget.usedBytes <= 2 * MIB, `${budget.usedBytes} bytes`)
  }
  assert.equal(readdirSync(directory).length, 1)
  const { pages } = queue.stats()
  assert.ok(pages!.extentsWritten > 0)
  let id = 0
  for (const item of queue) assert.equal(item.id, id++)
  for (id = 0; id < count; id++) assert.equal(queue.shift()!.id, id)
  assert.equal(queue.size, 0)
  const end = queue.stats().pages!
  assert.equal(end.pages, 0)
  assert.ok(end.writesElided > 0, 'pages near the head stayed in memory')
  queue.dispose()
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(readdirSync(directory), [])
})

test('items can be pushed while the queue is drained', () => {
  using queue = new SpillQueue<number>({ directory })
  queue.push(3)
  const seen: number[] = []
  for (const item of queue.drain()) {
    seen.push(item)
    if (item > 0) queue.push(item - 1)
  }
  assert.deepEqual(seen, [3, 2, 1, 0])
})

test('taking items while the queue is iterated throws', () => {
  using queue = new SpillQueue<number>()
  for (let i = 0; i < 10; i++) queue.push(i)
  assert.throws(() => { for (const _ of queue) { void _; queue.shift() } }, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /Use drain/ })
})

test('a disposed queue, an item that cannot be encoded and one too large are typed errors that change nothing', () => {
  const queue = new SpillQueue<unknown>({ budget: '2 MiB', directory })
  queue.push(1)
  assert.throws(() => queue.push(undefined), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => queue.push('x'.repeat(MIB)), { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /Raise the budget/ })
  assert.deepEqual([...queue], [1])
  queue.dispose()
  queue.dispose()
  for (const call of [() => queue.push(1), () => queue.shift(), () => queue.peek(), () => queue.clear(), () => [...queue]]) {
    assert.throws(call, { code: 'SPILLWAY_CLOSED' })
  }
  assert.throws(() => new SpillQueue({ budget: '1 MiB' }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.throws(() => new SpillQueue({ encoding: 'nothing' as never }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('a decode that takes items from its own queue, or disposes of it, throws', () => {
  for (const act of ['shift', 'clear', 'dispose'] as const) {
    let acts = true
    const queue: SpillQueue<string> = new SpillQueue<string>({
      encoding: {
        encode: text => text,
        decode: bytes => {
          if (acts) {
            acts = false
            queue[act]()
          }
          return String(bytes)
        },
      },
    })
    for (const item of ['a', 'b', 'c']) queue.push(item)
    assert.throws(() => queue.shift(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    if (act === 'dispose') continue
    assert.equal(queue.size, act === 'shift' ? 2 : 0)
    assert.deepEqual([...queue], act === 'shift' ? ['b', 'c'] : [])
    queue.dispose()
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { Budget } from '../memory/budget.ts'
import { externalSort } from './external-sort.ts'
import { groupBy } from './group-by.ts'
import { SpillQueue } from './spill-queue.ts'

const MIB = 1024 * 1024
const directory = '/scratch'

function setup() {
  const host = new SimHost({ seed: 3 })
  host.disk.isLogging = false
  return { host, budget: new Budget(6 * MIB) }
}

function* lines(count: number): Generator<string> {
  for (let i = 0; i < count; i++) yield `${Math.imul(i, 2654435761) >>> 0} a line of some length`
}

async function outcome(source: AsyncIterable<unknown>): Promise<number | string> {
  let count = 0
  try {
    for await (const _ of source) {
      void _
      count++
    }
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return count
}

test('a full disk fails a sort or grouping with NO_SPACE, and nothing remains', async () => {
  for (const make of [
    (options: object) => externalSort(lines(100_000), options),
    (options: object) => groupBy(lines(100_000), { ...options, by: line => line }),
    (options: object) => groupBy(lines(100_000), { ...options, by: line => line, init: () => 0, reduce: (n: number) => n + 1 }),
  ]) {
    const { host, budget } = setup()
    host.disk.faults.capacityBytes = host.disk.usedBytes + 256 * 1024
    assert.equal(await outcome(make({ budget, directory, host })), 'SPILLWAY_NO_SPACE')
    assert.equal(budget.usedBytes, 0)
    assert.deepEqual(host.files.list(directory), [])
    host.disk.faults.clear()
    host.disk.faults.capacityBytes = Infinity
    assert.equal(await outcome(make({ budget, directory, host })), 100_000)
    assert.deepEqual(host.files.list(directory), [])
  }
})

test('a queue on a full disk refuses pushes, keeps its items, and continues when there is space', () => {
  const { host, budget } = setup()
  using queue = new SpillQueue<string>({ budget, directory, host, encoding: 'utf8' })
  host.disk.faults.capacityBytes = host.disk.usedBytes + MIB
  const pushed: string[] = []
  let refused = 0
  for (const line of lines(400_000)) {
    try {
      queue.push(line)
      pushed.push(line)
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'SPILLWAY_NO_SPACE')
      if (++refused === 5) break
    }
  }
  assert.equal(refused, 5)
  assert.equal(queue.size, pushed.length)
  host.disk.faults.capacityBytes = Infinity
  for (const line of lines(50_000)) {
    // The disk is not probed at every push.
    for (let i = 0; i < 1000 && pushed.length === queue.size; i++) {
      try {
        queue.push(line)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'SPILLWAY_NO_SPACE')
      }
    }
    pushed.push(line)
  }
  assert.equal(queue.size, pushed.length)
  for (const line of pushed) assert.equal(queue.shift(), line)
})

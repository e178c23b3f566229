import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Budget } from '../memory/budget.ts'
import { externalSort } from './external-sort.ts'
import { groupBy } from './group-by.ts'
import { SpillMap } from './spill-map.ts'
import { SpillQueue } from './spill-queue.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-shared-'))
after(() => rmSync(directory, { recursive: true, force: true }))

test('a sort and a grouping get memory of a budget that a map and a queue have filled', async () => {
  const budget = new Budget('32 MiB')
  using map = new SpillMap<number, string>({ budget, directory })
  using queue = new SpillQueue<string>({ budget, directory })
  for (let i = 0; i < 60_000; i++) map.set(i, 'v'.repeat(100))
  for (let i = 0; i < 60_000; i++) queue.push(`${i}${'q'.repeat(100)}`)
  for (let i = 0; i < 60_000; i += 7) map.get(i)

  function* numbers(): Generator<number> {
    for (let i = 0; i < 100_000; i++) {
      // The map keeps taking memory during the sort.
      if (i % 4 === 0) map.set(60_000 + i, 'w'.repeat(100))
      yield (i * 7919) % 100_003
    }
  }
  let last = -1
  let count = 0
  for await (const number of externalSort(numbers(), { budget, directory })) {
    assert.ok(number > last)
    last = number
    count++
  }
  assert.equal(count, 100_000)

  count = 0
  for await (const [, n] of groupBy(numbers(), { by: n => n % 30_000, init: () => 0, reduce: n => n + 1, budget, directory })) count += n
  assert.equal(count, 100_000)
  assert.equal(queue.size, 60_000)
  assert.equal(map.get(59_999), 'v'.repeat(100))
  assert.ok(budget.report().highWaterBytes <= budget.totalBytes)
})

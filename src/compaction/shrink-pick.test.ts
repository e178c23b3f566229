import assert from 'node:assert/strict'
import { test } from 'node:test'
import { narrowPick } from './shrink-pick.ts'
import { idsOf, pickedSizes, run, table, tree, treeOfSizes } from './testing/trees.ts'

test('a narrower pick keeps the smallest runs, at least two', () => {
  const view = treeOfSizes([50, 10, 40, 20, 30])
  const pick = { tables: [...idsOf(view)], outputLevel: 0, joinsRun: false, targetTableBytes: 100, reason: 'test' }
  assert.deepEqual(pickedSizes(view, narrowPick(pick, view, 3)), [10, 20, 30])
  assert.deepEqual(pickedSizes(view, narrowPick(pick, view, 1)), [10, 20])
  assert.equal(narrowPick(pick, view, 5), pick)
})

test('the run that the output joins stays in, with those of its tables that were picked', () => {
  const base = run(1, table(1000, 0, 9), table(1000, 10, 19), table(1000, 20, 29))
  const view = tree([run(0, table(7, 0, 15)), run(0, table(5, 3, 12)), run(0, table(6, 1, 4)), base])
  const picked = [...view.runs.slice(0, 3).flatMap(({ tables }) => tables), ...base.tables.slice(0, 2)]
  const pick = { tables: picked.map(({ id }) => id), outputLevel: 1, joinsRun: true, targetTableBytes: 100, reason: 'test' }
  const narrow = narrowPick(pick, view, 2)
  assert.deepEqual(pickedSizes(view, narrow), [5, 3000])
  assert.equal(narrow.tables.includes(base.tables[2]!.id), false)
  assert.equal(narrow.tables.length, 3)
})

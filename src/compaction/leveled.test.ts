import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { LAST_LEVEL } from './leveled.ts'
import type { LeveledOptions } from './leveled.ts'
import { createStrategy } from './strategies.ts'
import type { Pick, RunView, Strategy, TreeView } from './strategy.ts'
import { PROPERTY, applyPick, idsOf, run, table, tree } from './testing/trees.ts'

function leveled(options: LeveledOptions = {}): Strategy {
  return createStrategy({ name: 'leveled', baseLevelBytes: 100, targetTableBytes: 25, ...options })
}

function ids(...runs: RunView[]): number[] {
  return runs.flatMap(({ tables }) => tables.map(({ id }) => id))
}

test('leveled has its defaults', () => {
  assert.deepEqual(createStrategy({ name: 'leveled' }).parameters, {
    level0Runs: 4, baseLevelBytes: 64 * 1024 * 1024, multiplier: 10, targetTableBytes: 16 * 1024 * 1024,
  })
})

test('leveled rejects what it cannot take, with numbers', () => {
  const bad: LeveledOptions[] = [
    { level0Runs: 0 }, { baseLevelBytes: 0.5 }, { multiplier: 1 }, { targetTableBytes: NaN }, { ratio: 1 } as LeveledOptions,
  ]
  for (const options of bad) assert.throws(() => leveled(options), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('leveled waits for four level-0 runs, then merges all of them with what lies in their hull in level 1', () => {
  const flushes = [run(0, table(5, 10, 12)), run(0, table(5, 30, 32)), run(0, table(5, 11, 13)), run(0, table(5, 10, 10))]
  const inGap = table(9, 20, 22)
  const level1 = run(1, table(9, 0, 9), table(9, 8, 10), inGap, table(9, 32, 40), table(9, 41, 50))
  assert.equal(leveled().pick(tree([...flushes.slice(1), level1])), undefined)
  const pick = leveled().pick(tree([...flushes, level1]))!
  assert.deepEqual(pick, {
    tables: [...ids(...flushes), ...ids(level1).slice(1, 4)],
    outputLevel: 1, joinsRun: true, targetTableBytes: 25, reason: '4 level-0 runs >= 4',
  })
  assert.ok(pick.tables.includes(inGap.id), 'the output may span the gap between two flushes')
})

test('leveled declines a level-0 merge while one of its inputs is in another merge', () => {
  const flushes = [0, 1, 2, 3, 4].map(() => run(0, table(5, 10, 20)))
  const level1 = run(1, table(9, 0, 10), table(9, 30, 40))
  const view = tree([...flushes, level1])
  for (const id of [...ids(...flushes), ids(level1)[0]!]) assert.equal(leveled().pick({ ...view, hidden: new Set([id]) }), undefined)
  assert.equal(leveled().pick({ ...view, hidden: new Set([ids(level1)[1]!]) })!.tables.length, 6)
})

test('leveled moves down the table that drags the least along, of the fullest level', () => {
  const level1 = run(1, table(60, 0, 9), table(60, 20, 29), table(60, 40, 49))
  const level2 = run(2, table(90, 5, 25), table(30, 27, 28), table(10, 43, 44), table(20, 45, 46))
  const view = tree([level1, level2])
  const pick = leveled().pick(view)!
  assert.deepEqual(pick.tables, [level1.tables[2]!.id, level2.tables[2]!.id, level2.tables[3]!.id])
  assert.deepEqual([pick.outputLevel, pick.joinsRun, pick.reason], [2, true, 'level 1 holds 180 B > 100 B'])
  const next = leveled().pick({ ...view, hidden: new Set([level2.tables[3]!.id]) })!
  assert.deepEqual(next.tables, [level1.tables[0]!.id, level2.tables[0]!.id], 'the next best when that one is blocked')
  const fuller = run(2, table(3000, 0, 100))
  assert.equal(leveled().pick(tree([level1, fuller]))!.outputLevel, 3)
})

test('leveled picks a table that overlaps nothing below it alone', () => {
  const level1 = run(1, table(60, 0, 9), table(60, 20, 29))
  const level2 = run(2, table(90, 0, 19))
  assert.deepEqual(leveled().pick(tree([level1, level2]))!.tables, [level1.tables[1]!.id])
  assert.equal(leveled().pick(tree([level1]))!.tables.length, 1)
})

test('leveled hulls are inclusive: a table below that only touches is taken along', () => {
  const level1 = run(1, table(110, 10, 20))
  const level2 = run(2, table(1, 0, 9), table(1, 5, 10), table(1, 20, 30), table(1, 21, 40))
  assert.deepEqual(leveled().pick(tree([level1, level2]))!.tables, [...ids(level1), ...ids(level2).slice(1, 3)])
})

test('leveled of equally cheap tables takes the one with the smallest key, and a level just at its target is left alone', () => {
  const level1 = run(1, table(50, 0, 9), table(50, 20, 29), table(1, 30, 39))
  assert.deepEqual(leveled().pick(tree([level1]))!.tables, [level1.tables[0]!.id])
  assert.equal(leveled().pick(tree([run(1, table(50, 0, 9), table(50, 20, 29))])), undefined)
})

test('leveled does not count against a level what is on its way down already', () => {
  const level1 = run(1, table(60, 0, 9), table(60, 20, 29))
  assert.equal(leveled().pick(tree([level1], [level1.tables[0]!.id])), undefined)
})

test('leveled never picks from the last level', () => {
  assert.equal(leveled().pick(tree([run(LAST_LEVEL, table(2 ** 53))])), undefined)
})

test('leveled debt counts each byte once for every level it must leave, hidden or not', () => {
  const flushes = [0, 1, 2, 3].map(() => run(0, table(50, 0, 9)))
  const view = tree([...flushes, run(1, table(80)), run(2, table(950))])
  // 200 leave level 0, 180 of 280 leave level 1, 130 of 1130 leave level 2.
  assert.equal(leveled().debtBytes(view), 200 + 180 + 130)
  assert.equal(leveled().debtBytes({ ...view, hidden: idsOf(view) }), 510)
  assert.equal(leveled().debtBytes(tree(view.runs.slice(1))), 0)
  const big = tree([run(1, table(2 ** 53), table(102))])
  const excesses = [2n, -998n, -10_998n, -110_998n, -1_110_998n].map(more => 2n ** 53n + more)
  assert.equal(leveled().debtBytes(big), Number(excesses.reduce((a, b) => a + b)), 'exact, then rounded once')
})

test('leveled counts level-0 runs for the stall verdict', () => {
  assert.equal(leveled().runCount(tree([run(0, table(1)), run(0, table(1)), run(1, table(1)), run(2, table(1))])), 2)
})

// Random trees grow by flushes and merges in random order, several merges at once.
const flush = fc.record({
  kind: fc.constant('flush' as const), from: fc.nat({ max: 300 }), width: fc.nat({ max: 60 }), bytes: fc.nat({ max: 40 }),
})
const step = fc.oneof(
  { weight: 3, arbitrary: flush },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('start' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), which: fc.nat() }) },
)

function assertLevels(view: TreeView): void {
  const seen = new Set<number>()
  for (const { level, tables } of view.runs) {
    if (level === 0) continue
    assert.ok(!seen.has(level), `level ${level} is one run`)
    seen.add(level)
    for (let i = 1; i < tables.length; i++) {
      assert.ok(compareKeys(tables[i - 1]!.lastKey, tables[i]!.firstKey) < 0, `level ${level} overlaps within itself`)
    }
  }
}

function bytesOf(view: TreeView): number {
  return view.runs.reduce((sum, { bytes }) => sum + bytes, 0)
}

test('leveled levels never overlap, whatever merges run at once; no pick has a hidden table; picking ends', () => {
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.constantFrom(1, 2, 4), (steps, level0Runs) => {
    const strategy = leveled({ level0Runs, multiplier: 3 })
    const running: Pick[] = []
    const hidden = new Set<number>()
    let view = tree([])
    const start = (): boolean => {
      const pick = strategy.pick({ runs: view.runs, hidden })
      if (pick === undefined) return false
      const known = idsOf(view)
      assert.ok(pick.tables.length > 0)
      for (const id of pick.tables) {
        assert.ok(known.has(id) && !hidden.has(id))
        hidden.add(id)
      }
      running.push(pick)
      return true
    }
    const finish = (which: number, failed: boolean): void => {
      const [pick] = running.splice(which % running.length, 1)
      for (const id of pick!.tables) hidden.delete(id)
      if (!failed) view = applyPick(view, pick!)
      assertLevels(view)
    }
    let flushed = 0
    for (const action of steps) {
      if (action.kind === 'flush') {
        flushed += action.bytes
        view = tree([run(0, table(action.bytes, action.from, action.from + action.width)), ...view.runs])
      } else if (action.kind === 'start') {
        start()
      } else if (running.length > 0) {
        finish(action.which, action.kind === 'fail')
      }
    }
    while (running.length > 0) finish(0, false)
    let merges = 0
    while (start()) {
      finish(0, false)
      assert.ok(++merges < 1000, 'picking does not end')
    }
    assert.equal(bytesOf(view), flushed)
    assert.ok(strategy.runCount(view) < level0Runs)
    assert.equal(strategy.debtBytes(view), 0)
  }), PROPERTY)
})

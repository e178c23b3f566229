import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UNLIMITED } from './parameters.ts'
import { createStrategy } from './strategies.ts'
import type { Strategy, TreeView } from './strategy.ts'
import type { TieredOptions } from './tiered.ts'
import { PROPERTY, applyPick, idsOf, pickedSizes, run, table, tree, treeOfSizes } from './testing/trees.ts'

const OFF: TieredOptions = { maxRuns: UNLIMITED, tombstonePercent: 100 }

function tiered(options: TieredOptions = {}): Strategy {
  return createStrategy({ name: 'tiered', ...OFF, ...options })
}

const EXAMPLES: [sizes: number[], picked: number[] | undefined, reason: RegExp][] = [
  [[10, 10, 10], [10, 10, 10], /^space amplification 200 % >= 200 %$/],
  [[100, 10, 10, 10, 10], [10, 10, 10, 10], /^4 runs of similar size >= 4$/],
  [[100, 10, 10, 10], undefined, /^$/],
  [[100, 10, 20, 40, 50], [100, 10, 20, 40, 50], /^5 runs of similar size/],
  [[100, 10, 21, 21, 21], undefined, /^$/],
  [[100, 50, 50, 99], [100, 50, 50, 99], /^4 runs of similar size/],
  [[100, 50, 50, 100], [100, 50, 50, 100], /^space amplification 200 % >= 200 %$/],
  [[1000, 64, 64, 64], undefined, /^$/],
  [[0, 0, 100, 0], [0, 0, 100, 0], /^4 runs of similar size/],
  [[0, 0], [0, 0], /^2 empty runs$/],
  [[10], undefined, /^$/],
  [[], undefined, /^$/],
]

for (const [sizes, picked, reason] of EXAMPLES) {
  test(`tiered at its defaults takes ${picked ? `[${picked}]` : 'nothing'} of [${sizes}]`, () => {
    for (const order of [sizes, sizes.toReversed()]) {
      const view = treeOfSizes(order)
      const pick = tiered().pick(view)
      assert.deepEqual(pickedSizes(view, pick)?.sort(), picked?.toSorted())
      if (pick === undefined) continue
      assert.match(pick.reason, reason)
      assert.equal(pick.outputLevel, 0)
      assert.equal(pick.joinsRun, false)
      assert.equal(pick.targetTableBytes, 64 * 1024 * 1024)
    }
  })
}

test('tiered of eight equal runs, min 2, max 3, amplification off, leaves six after one pass', () => {
  const strategy = tiered({ minMergeWidth: 2, maxMergeWidth: 3, maxSpaceAmplificationPercent: Infinity })
  const view = treeOfSizes([10, 10, 10, 10, 10, 10, 10, 10])
  const pick = strategy.pick(view)!
  assert.equal(pick.tables.length, 3)
  assert.deepEqual(pick.tables, view.runs.slice(5).map(({ tables }) => tables[0]!.id), 'of equal sizes the oldest')
  assert.equal(applyPick(view, pick).runs.length, 6)
})

test('tiered ratio 0 takes equal sizes only', () => {
  const strategy = tiered({ sizeRatio: 0, minMergeWidth: 2, maxSpaceAmplificationPercent: UNLIMITED })
  assert.deepEqual(pickedSizes(treeOfSizes([10, 11]), strategy.pick(treeOfSizes([10, 11]))), undefined)
  const view = treeOfSizes([11, 10, 10])
  assert.deepEqual(pickedSizes(view, strategy.pick(view)), [10, 10])
})

test('tiered takes a ratio that is NaN, negative or infinite for 1.0, and floors widths at 2', () => {
  for (const sizeRatio of [NaN, -0.1, -Infinity, Infinity]) assert.equal(tiered({ sizeRatio }).parameters.sizeRatio, 1)
  assert.equal(tiered({ sizeRatio: 0 }).parameters.sizeRatio, 0)
  const { minMergeWidth, maxMergeWidth } = tiered({ minMergeWidth: -3, maxMergeWidth: 0 }).parameters
  assert.deepEqual([minMergeWidth, maxMergeWidth], [2, 2])
})

test('tiered rejects what it cannot take, with numbers', () => {
  const bad: [TieredOptions, RegExp][] = [
    [{ minMergeWidth: 5, maxMergeWidth: 4 }, /maxMergeWidth 4 is below minMergeWidth 5/],
    [{ maxMergeWidth: 3 }, /maxMergeWidth 3 is below minMergeWidth 4/],
    [{ minMergeWidth: NaN }, /minMergeWidth must be a whole number .* not NaN/],
    [{ maxSpaceAmplificationPercent: -1 }, /maxSpaceAmplificationPercent must be a whole number >= 0, not -1/],
    [{ targetTableBytes: 0 }, /targetTableBytes must be a whole number >= 1, not 0/],
    [{ maxRuns: 0 }, /maxRuns/],
    [{ tombstonePercent: 101 }, /from 0 to 100, not 101/],
    [{ maxMergeWidht: 4 } as TieredOptions, /no parameter "maxMergeWidht"/],
  ]
  for (const [options, message] of bad) {
    assert.throws(() => tiered(options), { code: 'SPILLWAY_INVALID_ARGUMENT', message })
  }
  assert.throws(() => createStrategy({ name: 'lazy' } as never), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /not "lazy"/ })
})

test('tiered parameters survive JSON and give the same strategy again', () => {
  for (const options of [{}, { sizeRatio: 0.5, maxMergeWidth: Infinity, maxSpaceAmplificationPercent: Infinity, maxRuns: 7 }]) {
    const { parameters } = createStrategy({ name: 'tiered', ...options })
    const again = createStrategy({ name: 'tiered', ...JSON.parse(JSON.stringify(parameters)) as TieredOptions })
    assert.deepEqual(again.parameters, parameters)
  }
})

test('tiered leaves out a run of which one table is hidden', () => {
  const partly = run(0, table(5, 0, 9), table(5, 10, 19))
  const rest = [10, 10, 10].map(bytes => run(0, table(bytes)))
  const view = tree([...rest, partly], [partly.tables[1]!.id])
  assert.deepEqual(tiered().pick(view)?.tables, rest.map(({ tables }) => tables[0]!.id))
  assert.equal(tiered().pick(tree([rest[0]!, partly], [partly.tables[0]!.id])), undefined, 'fewer than two left')
})

test('tiered debt counts all runs, also those in flight, and nothing below two runs', () => {
  const view = treeOfSizes([10, 10, 10, 10])
  assert.equal(tiered().debtBytes(view), 10)
  assert.equal(tiered().debtBytes({ ...view, hidden: idsOf(view) }), 10)
  assert.equal(tiered().debtBytes(treeOfSizes([10, 10, 10])), 0)
  assert.equal(tiered({ maxSpaceAmplificationPercent: 0 }).debtBytes(treeOfSizes([10])), 0)
  assert.equal(tiered({ maxSpaceAmplificationPercent: 33 }).debtBytes(treeOfSizes([10, 4])), 0.7)
  assert.equal(tiered({ maxSpaceAmplificationPercent: Infinity }).debtBytes(view), 0)
})

test('tiered compares amplification exactly beyond 2^53, where sums of numbers round', () => {
  const big = 2 ** 53
  // (2^53 + 2 + 1) / (2^53 + 2) - 1 is below any percent; 2^53 + 2^53 against 2^53 is exactly 100 %.
  const exact = tiered({ maxSpaceAmplificationPercent: 100, minMergeWidth: 9 })
  assert.notEqual(exact.pick(treeOfSizes([big, big])), undefined)
  assert.equal(exact.pick(treeOfSizes([big + 2, big])), undefined)
  assert.equal(exact.pick(treeOfSizes([big, big - 1])), undefined)
  assert.notEqual(exact.pick(treeOfSizes([big, big - 1, 1])), undefined)
  assert.equal(exact.debtBytes(treeOfSizes([big, big, big])), big)
})

test('tiered with maxRuns merges the smallest runs, just enough to be at the bound', () => {
  const strategy = tiered({ maxRuns: 4 })
  const sizes = [1, 5000, 30, 1000000, 200, 40000]
  const view = treeOfSizes(sizes)
  assert.equal(tiered().pick(view), undefined)
  const pick = strategy.pick(view)!
  assert.deepEqual(pickedSizes(view, pick), [1, 30, 200])
  assert.equal(pick.reason, '6 runs > 4')
  const after = applyPick(view, pick)
  assert.equal(after.runs.length, 4)
  assert.equal(strategy.pick(after), undefined)
})

test('tiered merges a run of mostly tombstones with the older runs it overlaps, and only with those', () => {
  const strategy = tiered({ tombstonePercent: 50 })
  const newer = run(0, table(100, 0, 9))
  const tombstones = run(0, table(10, 0, 5, 1000, 501))
  const overlapped = run(0, table(3000, 4, 30))
  const apart = run(0, table(90_000, 40, 50))
  const view = tree([newer, tombstones, overlapped, apart])
  const pick = strategy.pick(view)!
  assert.deepEqual(pick.tables, [tombstones.tables[0]!.id, overlapped.tables[0]!.id])
  assert.match(pick.reason, /^50 % tombstones > 50 % in run \d+$/)
  assert.equal(tiered().pick(view), undefined, 'off')
  assert.equal(strategy.pick(tree([newer, tombstones, apart])), undefined, 'nothing under it')
  assert.equal(strategy.pick(tree([overlapped, tombstones, apart])), undefined, 'only newer runs overlap')
  assert.equal(strategy.pick(tree(view.runs, [overlapped.tables[0]!.id])), undefined, 'the run under it is in another merge')
  const between = run(0, table(1500, 0, 1), table(1500, 41, 60))
  assert.equal(strategy.pick(tree([run(0, table(10, 10, 30, 1000, 900)), between])), undefined, 'it lies in a gap of the other')
  for (const [entries, deletes] of [[999, 999], [1000, 500]]) {
    assert.equal(strategy.pick(tree([run(0, table(10, 0, 5, entries, deletes)), overlapped, apart])), undefined)
  }
})

const sizes = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 60),
  fc.nat({ max: 50 }),
  fc.maxSafeNat(),
)
const views = fc.array(fc.record({
  bytes: sizes, from: fc.nat({ max: 100 }), width: fc.nat({ max: 100 }), entries: fc.nat({ max: 3000 }), deletes: fc.nat({ max: 3000 }),
}), { maxLength: 12 }).map(runs => tree(runs.map(({ bytes, from, width, entries, deletes }) =>
  run(0, table(bytes, from, from + width, entries, Math.min(entries, deletes))))))
const options: fc.Arbitrary<TieredOptions> = fc.record({
  sizeRatio: fc.constantFrom(0, 0.3, 1, 3),
  minMergeWidth: fc.integer({ min: 0, max: 6 }),
  maxMergeWidth: fc.constantFrom(6, 8, UNLIMITED),
  maxSpaceAmplificationPercent: fc.constantFrom(0, 25, 100, 200, UNLIMITED),
  maxRuns: fc.constantFrom(1, 3, UNLIMITED),
  tombstonePercent: fc.constantFrom(0, 50, 100),
})

test('tiered never picks a hidden table, and always two whole runs or more', () => {
  fc.assert(fc.property(views, options, fc.infiniteStream(fc.boolean()), (view, parameters, coins) => {
    const hidden = new Set([...idsOf(view)].filter(() => coins.next().value))
    const pick = tiered(parameters).pick({ runs: view.runs, hidden })
    if (pick === undefined) return
    assert.ok(pick.tables.length >= 2)
    assert.equal(new Set(pick.tables).size, pick.tables.length)
    for (const id of pick.tables) assert.ok(!hidden.has(id) && idsOf(view).has(id))
  }), PROPERTY)
})

test('tiered picking ends, and what is left meets every rule', () => {
  fc.assert(fc.property(views, options, (start, parameters) => {
    const strategy = tiered(parameters)
    let view: TreeView = start
    for (let pick = strategy.pick(view); pick !== undefined; pick = strategy.pick(view)) {
      const after = applyPick(view, pick)
      assert.ok(after.runs.length < view.runs.length, 'every merge leaves fewer runs')
      view = after
    }
    assert.ok(view.runs.length <= Math.max(1, strategy.parameters.maxRuns!))
    assert.equal(strategy.debtBytes(view), 0)
  }), PROPERTY)
})

test('tiered debt and amplification agree with plain BigInt arithmetic', () => {
  fc.assert(fc.property(fc.array(sizes, { maxLength: 12 }), fc.nat({ max: 400 }), (list, percent) => {
    const strategy = tiered({ maxSpaceAmplificationPercent: percent, minMergeWidth: 100 })
    const view = treeOfSizes(list)
    const big = list.map(BigInt)
    const total = big.reduce((a, b) => a + b, 0n)
    const largest = big.reduce((a, b) => a > b ? a : b, 0n)
    const excess = total * 100n - largest * (100n + BigInt(percent))
    assert.equal(strategy.pick(view) !== undefined, list.length >= 2 && excess >= 0n)
    const expected = list.length < 2 || excess < 0n ? 0n : excess
    const debt = strategy.debtBytes(view)
    if (expected <= 2n ** 53n - 1n) assert.equal(debt, Number(expected) / 100)
    else assert.equal(debt, Number(expected / 100n))
  }), PROPERTY)
})

test('tiered gives the same pick for the same view', () => {
  fc.assert(fc.property(views, options, (view, parameters) => {
    assert.deepEqual(tiered(parameters).pick(view), tiered(parameters).pick({ runs: [...view.runs], hidden: new Set() }))
  }), PROPERTY)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { MemoryPages } from '../pages/testing/memory-pages.ts'
import { SortEngine } from './external-sort-engine.ts'

const KIB = 1024

function make(memoryBytes: number, reverse = false) {
  const pages = new MemoryPages()
  const budget = new Budget(memoryBytes + 1024 * KIB)
  const engine = new SortEngine({
    pages: () => pages, account: budget.account('sort', 'test'), runAccount: budget.account('sorted runs', 'test'),
    memoryBytes, pageBytes: 512, groupPages: 3, reverse,
  })
  return { pages, budget, engine }
}

function run(steps: Generator<void>): void {
  while (steps.next().done !== true);
}

function addAll(engine: SortEngine, keys: readonly string[]): void {
  keys.forEach((text, i) => {
    const key = Buffer.from(text)
    const value = Buffer.from(String(i))
    while (!engine.add(key, 0, key.length, value, 0, value.length)) run(engine.spill())
  })
}

function results(engine: SortEngine): [string, number][] {
  const out: [string, number][] = []
  while (engine.next()) {
    out.push([
      Buffer.from(engine.bytes.subarray(engine.keyStart, engine.keyEnd)).toString(),
      Number(Buffer.from(engine.bytes.subarray(engine.valueStart, engine.valueEnd)).toString()),
    ])
  }
  return out
}

test('with memory for few windows, runs are merged in steps and stay stable', () => {
  const key = fc.oneof(fc.constantFrom('', 'a', 'b', 'a common beginning 1', 'a common beginning 2'), fc.string({ maxLength: 30 }), fc.string({ minLength: 500, maxLength: 700 }))
  let merges = 0
  fc.assert(fc.property(fc.array(key, { minLength: 200, maxLength: 1500, size: 'max' }), fc.boolean(), (keys, reverse) => {
    const { pages, budget, engine } = make(12 * KIB, reverse)
    addAll(engine, keys)
    run(engine.finish())
    const expected = keys.map((text, i): [string, number] => [text, i])
      .sort((a, b) => (reverse ? -1 : 1) * Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])) || a[1] - b[1])
    assert.deepEqual(results(engine), expected)
    merges += engine.report.merges
    assert.equal(pages.livePages, 0)
    engine.close()
    engine.close()
    assert.equal(budget.usedBytes, 0)
  }), { seed: 61, numRuns: 25, endOnFailure: true })
  assert.ok(merges > 10, `${merges} merges`)
})

test('large groups with equal prefixes sort by later bytes', () => {
  const keys: string[] = []
  for (let i = 0; i < 3000; i++) keys.push(`${'x'.repeat(20 + (i % 3) * 8)}${(i * 7919) % 1000}${'y'.repeat(i % 4)}`)
  for (let i = 0; i < 500; i++) keys.push('always the same key, longer than two words', 'x', '')
  const { engine } = make(1024 * KIB)
  addAll(engine, keys)
  run(engine.finish())
  const expected = keys.map((text, i): [string, number] => [text, i]).sort((a, b) => Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])) || a[1] - b[1])
  assert.deepEqual(results(engine), expected)
  assert.equal(engine.report.runs, 0)
  engine.close()
})

test('a small sort leases little, and the whole buffer once that is full', () => {
  const { budget, engine } = make(16 * 1024 * KIB)
  assert.ok(budget.usedBytes < 1100 * KIB)
  addAll(engine, Array.from({ length: 1000 }, (_, i) => String(i).padEnd(900)))
  assert.ok(budget.usedBytes < 1100 * KIB)
  addAll(engine, Array.from({ length: 1000 }, (_, i) => String(i).padEnd(900)))
  assert.equal(budget.usedBytes, 16 * 1024 * KIB)
  run(engine.finish())
  assert.equal(results(engine).length, 2000)
  engine.close()
  assert.equal(budget.usedBytes, 0)
})

test('close frees every page, with runs or in a merge', () => {
  for (const stage of ['runs', 'merge']) {
    const { pages, budget, engine } = make(12 * KIB)
    addAll(engine, Array.from({ length: 2000 }, (_, i) => `key ${(i * 7919) % 2000}`))
    if (stage === 'merge') {
      run(engine.finish())
      assert.ok(engine.next())
    }
    assert.ok(pages.livePages > 0)
    engine.close()
    assert.equal(pages.livePages, 0)
    assert.equal(budget.usedBytes, 0)
  }
})

/** Credits in arenas: how many, in which order, and that every byte of them comes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../../memory/budget.ts'
import { ArenaAdmission } from './arena-admission.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES, arenaSize, arenaSizeAbove } from './arena-pool.ts'

const SEED = 20260411
const KIB = 1024
const MIB = 1024 * KIB

function pool(limitBytes: number, budgetBytes = 64 * MIB) {
  const budget = new Budget(budgetBytes)
  const log: string[] = []
  const admission = new ArenaAdmission(budget.account('memtables', ''), limitBytes, {
    onStarved: () => { log.push('starved') },
    onGranted: () => { log.push('granted') },
    onAccountingError: error => { throw error },
  })
  return { budget, admission, log }
}

for (const [bytes, below, above] of [
  [1, 256, 256], [256 * KIB, 256, 256], [300 * KIB, 256, 512], [1 * MIB, 1024, 1024], [1.2 * MIB, 1024, 2048], [4 * MIB, 4096, 4096],
  [4 * MIB + 1, 4096, 8192], [63 * MIB, 32 * 1024, 64 * 1024],
] as const) {
  test(`the sizes of arenas next to ${bytes} bytes are ${below} and ${above} KiB`, () => {
    assert.deepEqual([arenaSize(bytes), arenaSizeAbove(bytes)], [below * KIB, above * KIB])
    assert.equal(arenaSize(arenaSizeAbove(bytes)), arenaSizeAbove(bytes))
  })
}

test('an arena of the wanted size, or of the largest that credits and ledger allow', () => {
  const { admission, budget } = pool(4 * MIB)
  const [a, b] = [{}, {}]
  assert.equal(admission.take(a, 3 * MIB, MIB)?.byteLength, 2 * MIB)
  assert.equal(admission.take(b, 4 * MIB, 256 * KIB)?.byteLength, 2 * MIB)
  assert.equal(admission.usedBytes, 4 * MIB)
  assert.equal(budget.usedBytes, 4 * MIB + 2 * SMALLEST_ARENA_BYTES)
})

test('an arena that lies free is taken if it is nearly as large as the wanted one; a much smaller one is dropped for it', () => {
  const { admission } = pool(2 * MIB)
  const dropped: number[] = []
  admission.arenas.onDropped = bytes => { dropped.push(bytes) }
  const held = [1, 2, 3, 4].map(() => admission.take({}, 512 * KIB, 512 * KIB)!)
  for (const buffer of held) admission.give(buffer)
  const again = admission.take({}, 2 * MIB, 256 * KIB)!
  assert.ok(held.includes(again))
  admission.give(again)
  const tiny = [1, 2, 3, 4, 5, 6, 7, 8].map(() => admission.take({}, 256 * KIB, 256 * KIB)!)
  for (const buffer of tiny) admission.give(buffer)
  assert.deepEqual(dropped, [512 * KIB, 512 * KIB, 512 * KIB, 512 * KIB])
  assert.equal(admission.take({}, 2 * MIB, 256 * KIB)!.byteLength, 2 * MIB)
  assert.equal(dropped.length, 12)
})

test('stores get their arenas in the order in which they began to wait, whichever asks first afterwards', () => {
  const { admission, log } = pool(MIB)
  const [a, b, c] = [{ a: 1 }, { b: 1 }, { c: 1 }]
  const first = admission.take(a, MIB, 256 * KIB)!
  assert.equal(admission.take(b, MIB, 512 * KIB), undefined)
  assert.equal(admission.take(c, MIB, 256 * KIB), undefined)
  assert.deepEqual(log, ['starved', 'starved'])
  assert.equal(admission.waiting, 2)
  admission.give(first)
  // Both were granted what they asked for at least: the newcomer gets what is left.
  assert.deepEqual(log.slice(2), ['granted', 'granted'])
  assert.equal(admission.take(a, MIB, 256 * KIB)?.byteLength, 256 * KIB)
  assert.equal(admission.take(c, MIB, 256 * KIB)?.byteLength, 256 * KIB)
  assert.equal(admission.take(b, MIB, 512 * KIB)?.byteLength, 512 * KIB)
  assert.equal(admission.usedBytes, MIB)
})

test('a small request does not pass a large one that waits', () => {
  const { admission } = pool(MIB)
  const [a, b, c, d] = [{ a: 1 }, { b: 1 }, { c: 1 }, { d: 1 }]
  const small = admission.take(a, 512 * KIB, 512 * KIB)!
  const rest = admission.take(b, 512 * KIB, 512 * KIB)!
  assert.equal(admission.take(c, MIB, MIB), undefined)
  admission.give(small)
  assert.equal(admission.take(d, 256 * KIB, 256 * KIB), undefined, 'there is room for it, but not its turn')
  admission.give(rest)
  assert.equal(admission.take(c, MIB, MIB)?.byteLength, MIB)
})

test('a store that leaves the line lets the next one in, and gives back what was granted', () => {
  const { admission } = pool(512 * KIB)
  const [a, b, c] = [{ a: 1 }, { b: 1 }, { c: 1 }]
  const held = admission.take(a, 512 * KIB, 512 * KIB)!
  assert.equal(admission.take(b, 512 * KIB, 512 * KIB), undefined)
  assert.equal(admission.take(c, 512 * KIB, 512 * KIB), undefined)
  admission.give(held)
  assert.equal(admission.usedBytes, 512 * KIB, 'granted to the first in line')
  admission.leave(b)
  assert.equal(admission.take(c, 512 * KIB, 512 * KIB)?.byteLength, 512 * KIB)
  admission.leave(c)
  assert.equal(admission.usedBytes, 512 * KIB, 'an arena in use is not given back by leaving')
})

test('an arena larger than all credits passes when nothing is held', () => {
  const { admission } = pool(512 * KIB)
  assert.equal(admission.take({}, 2 * MIB, 2 * MIB)?.byteLength, 2 * MIB)
  assert.equal(admission.take({}, 256 * KIB, 256 * KIB), undefined)
})

test('when the ledger has no room, two of the smallest arenas still can be had, one after the other for ever', () => {
  const { admission, budget } = pool(4 * MIB, 2 * SMALLEST_ARENA_BYTES + HEADROOM_BYTES)
  budget.account('others', '').lease(HEADROOM_BYTES)
  const [a, b, c] = [{ a: 1 }, { b: 1 }, { c: 1 }]
  const first = admission.take(a, MIB, 256 * KIB)!
  const second = admission.take(b, MIB, 256 * KIB)!
  assert.deepEqual([first.byteLength, second.byteLength], [256 * KIB, 256 * KIB])
  assert.equal(admission.take(c, MIB, 256 * KIB), undefined)
  admission.give(first)
  assert.equal(admission.take(c, MIB, 256 * KIB)?.byteLength, 256 * KIB)
  assert.ok(budget.usedBytes <= budget.totalBytes)
})

test('a lower limit takes effect as arenas come back, a higher one at once', () => {
  const { admission } = pool(MIB)
  const [a, b] = [{ a: 1 }, { b: 1 }]
  const held = admission.take(a, MIB, MIB)!
  admission.setLimit(512 * KIB)
  assert.equal(admission.take(b, 256 * KIB, 256 * KIB), undefined)
  admission.setLimit(2 * MIB)
  assert.equal(admission.take(b, MIB, 256 * KIB)?.byteLength, MIB)
  admission.give(held)
  assert.equal(admission.usedBytes, MIB)
})

test(`whatever stores do, credits are arenas in use and turns, and the ledger ends empty (seed ${SEED})`, () => {
  const sizes = fc.integer({ min: 1, max: 3 * MIB })
  const step = fc.oneof(
    fc.record({ what: fc.constant('take' as const), store: fc.nat(4), want: sizes, least: sizes }),
    fc.record({ what: fc.constant('give' as const), store: fc.nat(4) }),
    fc.record({ what: fc.constant('leave' as const), store: fc.nat(4) }),
    fc.record({ what: fc.constant('limit' as const), bytes: fc.integer({ min: 256 * KIB, max: 6 * MIB }) }),
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 6 * MIB }), (steps, spare) => {
    const { admission, budget } = pool(4 * MIB, 2 * SMALLEST_ARENA_BYTES + spare)
    const stores = [0, 1, 2, 3, 4].map(number => ({ number, held: [] as SharedArrayBuffer[] }))
    for (const one of steps) {
      if (one.what === 'limit') admission.setLimit(one.bytes)
      else if (one.what === 'give') {
        const buffer = stores[one.store]!.held.pop()
        if (buffer !== undefined) admission.give(buffer)
      } else if (one.what === 'leave') admission.leave(stores[one.store]!)
      else {
        const least = Math.min(one.want, one.least)
        const buffer = admission.take(stores[one.store]!, one.want, least)
        if (buffer === undefined) continue
        assert.ok(buffer.byteLength >= least && buffer.byteLength <= Math.max(arenaSizeAbove(least), arenaSize(one.want)), `${buffer.byteLength}`)
        stores[one.store]!.held.push(buffer)
      }
      const held = stores.flatMap(store => store.held).reduce((sum, buffer) => sum + buffer.byteLength, 0)
      assert.ok(admission.usedBytes >= held)
      assert.ok(budget.usedBytes <= budget.totalBytes)
    }
    for (const store of stores) admission.leave(store)
    for (const buffer of stores.flatMap(store => store.held)) admission.give(buffer)
    assert.equal(admission.usedBytes, 0)
    admission.close()
    assert.equal(budget.usedBytes, 0)
  }), { seed: SEED, numRuns: 300 })
})

test('when write memory has grown, smaller arenas that lie free are not taken for ever', () => {
  const { admission } = pool(2 * MIB)
  const small = [1, 2, 3, 4].map(() => admission.take({}, 512 * KIB, 512 * KIB)!)
  for (const buffer of small) admission.give(buffer)
  const sizes: number[] = []
  for (let i = 0; i < 20; i++) {
    const buffer = admission.take({}, 2 * MIB, 256 * KIB)!
    sizes.push(buffer.byteLength)
    admission.give(buffer)
  }
  assert.deepEqual(sizes.slice(0, 3), [512 * KIB, 512 * KIB, 512 * KIB])
  assert.deepEqual(sizes.slice(-10), Array.from({ length: 10 }, () => 2 * MIB))
})

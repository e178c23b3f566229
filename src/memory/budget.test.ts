import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpillwayError } from '../base/errors.ts'
import { Budget } from './budget.ts'
import type { Lease } from './budget.ts'

const SEED = 20250627

test('a lease is taken from its account and from the budget, and given back once', () => {
  const budget = new Budget('1 KiB')
  assert.equal(budget.totalBytes, 1024)
  const cache = budget.account('cache', 'what is free')
  const log = budget.account('log', 'two buffers')
  const first = cache.lease(300)
  const second = log.lease(200)
  assert.deepEqual([cache.bytes, log.bytes, budget.usedBytes, budget.freeBytes], [300, 200, 500, 524])
  assert.deepEqual([first.bytes, first.account, second.account], [300, cache, log])
  first.release()
  assert.deepEqual([first.bytes, cache.bytes, budget.usedBytes], [0, 0, 200])
  assert.throws(() => first.release(), { message: /released twice/ })
  assert.deepEqual([cache.bytes, log.bytes, budget.usedBytes], [0, 200, 200])
})

test('an account has one name and keeps the bound it was made with', () => {
  const budget = new Budget(100)
  const account = budget.account('cache', 'first')
  assert.equal(budget.account('cache', 'second'), account)
  assert.equal(account.bound, 'first')
})

test('a lease that does not fit is denied, counted, and changes nothing', () => {
  const budget = new Budget(1000)
  const account = budget.account('memtable', 'two arenas')
  const held = account.lease(900)
  assert.equal(account.tryLease(101), undefined)
  assert.equal(budget.report().denied, 1)
  assert.throws(() => account.lease(2048), ({ code, message, details }: SpillwayError) => {
    assert.equal(code, 'SPILLWAY_BUDGET_TOO_SMALL')
    assert.match(message, /no room for 2\.0 KiB of memtable: 900 B of 1000 B in use\. Raise the budget/)
    assert.deepEqual(details, { account: 'memtable', bytes: 2048, usedBytes: 900, budgetBytes: 1000 })
    return true
  })
  assert.deepEqual([account.bytes, budget.usedBytes, budget.report().highWaterBytes], [900, 900, 900])
  const rest = account.tryLease(100)
  assert.equal(rest?.bytes, 100, 'exactly full is not too much')
  held.release()
  rest!.release()
  assert.equal(budget.usedBytes, 0)
})

test('a lease of nothing is a lease', () => {
  const budget = new Budget(0)
  const lease = budget.account('none', 'nothing').lease(0)
  assert.equal(budget.account('none', 'nothing').tryLease(1), undefined)
  lease.release()
  assert.throws(() => lease.release())
})

test('a lease grows and shrinks; what does not fit leaves it as it was', () => {
  const budget = new Budget(1000)
  const account = budget.account('a', '')
  const other = budget.account('b', '').lease(500)
  const lease = account.lease(100)
  assert.equal(lease.resize(500), true)
  assert.equal(lease.resize(501), false)
  assert.deepEqual([lease.bytes, account.bytes, budget.usedBytes], [500, 500, 1000])
  assert.equal(lease.resize(40), true)
  assert.equal(lease.resize(40), true)
  assert.deepEqual([lease.bytes, account.bytes, budget.usedBytes], [40, 40, 540])
  assert.equal(lease.resize(0), true)
  lease.release()
  assert.throws(() => lease.resize(1), { message: /a released lease was resized/ })
  other.release()
  assert.equal(budget.usedBytes, 0)
})

test('sizes that are no whole number of bytes are refused and change nothing, even where the account holds enough', () => {
  const budget = new Budget(1000)
  const account = budget.account('a', '')
  const lease = account.lease(100)
  account.lease(500)
  for (const bytes of [-1, -50, 0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => account.tryLease(bytes), { code: 'SPILLWAY_INVALID_ARGUMENT' }, `${bytes}`)
    assert.throws(() => lease.resize(bytes), { code: 'SPILLWAY_INVALID_ARGUMENT' }, `${bytes}`)
  }
  assert.deepEqual([lease.bytes, account.bytes, budget.usedBytes], [100, 600, 600])
})

test('giving back more than is held is an error, never hidden', () => {
  const budget = new Budget(1000)
  const account = budget.account('a', '')
  budget.account('b', '').lease(500)
  account.lease(10)
  assert.throws(() => account.shrink(11), { message: /accounting error in a: 11 bytes returned, 10 held/ })
  assert.throws(() => budget.giveBack(511), { message: /accounting error/ })
  assert.deepEqual([account.bytes, budget.usedBytes], [10, 510])
})

test('a lease can be used with using: it is released at the end of the block, unless it was before', () => {
  const budget = new Budget(1000)
  const account = budget.account('a', '')
  const lease = account.lease(10)
  lease[Symbol.dispose]()
  lease[Symbol.dispose]()
  assert.equal(account.bytes, 0)
})

test('reclaimers are asked in order, for what is missing, and no more of them than needed', () => {
  const budget = new Budget(1000)
  const account = budget.account('cache', '')
  const asked: [string, number][] = []
  const held = [account.lease(300), account.lease(300), account.lease(300)]
  const reclaimer = (name: string, gives: number) => (bytes: number): number => {
    asked.push([name, bytes])
    const lease = held[0]!
    const given = Math.min(gives, bytes, lease.bytes)
    lease.resize(lease.bytes - given)
    return given
  }
  budget.addReclaimer('cache', reclaimer('first', 50))
  const removeSecond = budget.addReclaimer('cache', reclaimer('second', 80))
  budget.addReclaimer('cache', reclaimer('third', 300))

  const wanted = budget.account('wanted', '')
  assert.notEqual(wanted.tryLease(100), undefined)
  assert.deepEqual(asked.splice(0), [], 'what fits is not asked for')
  assert.notEqual(wanted.tryLease(100), undefined)
  assert.deepEqual(asked.splice(0), [['first', 100], ['second', 50]])
  removeSecond()
  removeSecond()
  assert.notEqual(wanted.tryLease(100), undefined)
  assert.deepEqual(asked.splice(0), [['first', 100], ['third', 50]])
  assert.equal(wanted.tryLease(1, false), undefined, 'without reclaiming only what is free counts')
  assert.deepEqual(asked.splice(0), [])
  assert.equal(wanted.tryLease(1000), undefined)
  assert.deepEqual(asked.map(([name]) => name), ['first', 'third'])
  assert.equal(budget.usedBytes, held.reduce((sum, lease) => sum + lease.bytes, 0) + wanted.bytes)
})

test('growing a lease reclaims too, unless told not to', () => {
  const budget = new Budget(100)
  const cache = budget.account('cache', '').lease(80)
  budget.addReclaimer('cache', bytes => {
    cache.resize(cache.bytes - bytes)
    return bytes
  })
  const lease = budget.account('a', '').lease(20)
  assert.equal(lease.resize(30, false), false)
  assert.equal(lease.resize(30), true)
  assert.deepEqual([lease.bytes, cache.bytes, budget.usedBytes], [30, 70, 100])
})

test('a reclaimer that takes itself off the list does not keep the next one from being asked', () => {
  const budget = new Budget(100)
  const cache = budget.account('cache', '').lease(100)
  const remove = budget.addReclaimer('cache', () => {
    remove()
    return 0
  })
  budget.addReclaimer('cache', bytes => {
    cache.resize(cache.bytes - bytes)
    return bytes
  })
  assert.notEqual(budget.account('a', '').tryLease(10), undefined)
})

test('what a reclaimer says it gave does not count, only what it gave', () => {
  const budget = new Budget(100)
  budget.account('cache', '').lease(100)
  budget.addReclaimer('cache', bytes => bytes)
  assert.equal(budget.account('a', '').tryLease(10), undefined)
  assert.equal(budget.usedBytes, 100)
})

test('the report names every account with what bounds it, and high-water marks stay', () => {
  const budget = new Budget(1000)
  const first = budget.account('cache', 'what is free').lease(400)
  const second = budget.account('log', 'two buffers').lease(100)
  first.resize(600)
  first.resize(10)
  second.release()
  assert.deepEqual(budget.report(), {
    budgetBytes: 1000, usedBytes: 10, highWaterBytes: 700, denied: 0,
    accounts: {
      cache: { bytes: 10, highWaterBytes: 600, bound: 'what is free' },
      log: { bytes: 0, highWaterBytes: 100, bound: 'two buffers' },
    },
  })
})

const step = fc.oneof(
  fc.record({ do: fc.constant('lease' as const), account: fc.nat(2), bytes: fc.nat(400), reclaims: fc.boolean() }),
  fc.record({ do: fc.constant('resize' as const), which: fc.nat(20), bytes: fc.nat(400), reclaims: fc.boolean() }),
  fc.record({ do: fc.constant('release' as const), which: fc.nat(20) }),
)

test(`at every step: used = sum of accounts = sum of leases <= total, and a denial was right (seed ${SEED})`, () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
    const budget = new Budget(1000)
    const accounts = ['a', 'b', 'c'].map(name => budget.account(name, ''))
    const cache = budget.account('cache', '').lease(500)
    const held: { lease: Lease, bytes: number }[] = []
    let denied = 0
    let highWater = 500
    budget.addReclaimer('cache', bytes => {
      const given = Math.min(bytes, cache.bytes)
      cache.resize(cache.bytes - given)
      return given
    })
    for (const action of steps) {
      const used = held.reduce((sum, { bytes }) => sum + bytes, 0)
      const room = (reclaims: boolean): number => 1000 - used - (reclaims ? 0 : cache.bytes)
      if (action.do === 'lease') {
        const fits = action.bytes <= room(action.reclaims)
        const lease = accounts[action.account]!.tryLease(action.bytes, action.reclaims)
        assert.equal(lease !== undefined, fits)
        if (lease === undefined) denied++
        else held.push({ lease, bytes: action.bytes })
      } else if (held.length > 0) {
        const entry = held[action.which % held.length]!
        if (action.do === 'resize') {
          const fits = action.bytes - entry.bytes <= Math.max(0, room(action.reclaims))
          assert.equal(entry.lease.resize(action.bytes, action.reclaims), fits)
          if (fits) entry.bytes = action.bytes
          else denied++
        } else {
          entry.lease.release()
          held.splice(held.indexOf(entry), 1)
        }
      }
      const sum = held.reduce((total, { bytes }) => total + bytes, 0) + cache.bytes
      highWater = Math.max(highWater, sum)
      const report = budget.report()
      assert.equal(budget.usedBytes, sum)
      assert.equal(Object.values(report.accounts).reduce((total, { bytes }) => total + bytes, 0), sum)
      assert.ok(sum <= 1000)
      assert.deepEqual([report.denied, report.highWaterBytes], [denied, highWater])
      for (const account of accounts) {
        assert.equal(account.bytes, held.filter(({ lease }) => lease.account === account).reduce((total, { bytes }) => total + bytes, 0))
      }
    }
    for (const { lease } of held) lease.release()
    cache.release()
    assert.equal(budget.usedBytes, 0)
  }), { seed: SEED, numRuns: 500 })
})

test('a lease that leaves room for others takes only its own bytes, also in the high-water marks', () => {
  const budget = new Budget(1000)
  const account = budget.account('a', 'test')
  const lease = account.tryLeaseLeaving(600, 300)
  assert.equal(lease?.bytes, 600)
  assert.deepEqual([account.highWaterBytes, budget.report().highWaterBytes], [600, 600])
  assert.equal(account.tryLeaseLeaving(200, 300), undefined)
  assert.deepEqual([budget.usedBytes, budget.report().denied], [600, 1])
  lease!.release()
})

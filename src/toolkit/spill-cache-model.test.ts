/** A cache beside a map: what it has is right, through random calls on all levels, with time passing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { Random } from '../host/sim/random.ts'
import { Budget } from '../memory/budget.ts'
import { SpillCache } from './spill-cache.ts'

for (const disk of [false, true]) {
  for (const policy of ['adaptive', 'lru', 'lfu', 'fifo'] as const) {
    test(`${policy}${disk ? ' with lower levels' : ''}: a cache never gives a value that was not set last, nor one that is over`, () => {
      const host = new SimHost({ seed: 5 })
      const random = new Random(11)
      const budget = new Budget('4 MiB')
      const cache = new SpillCache({ budget, policy, host, ...(disk ? { disk: { directory: '/scratch', maxBytes: '2 MiB' } } : {}) })
      const model = new Map<string, { value: string, expiresMs: number }>()
      let hits = 0
      for (let step = 0; step < 40_000; step++) {
        const key = `key ${random.below(random.below(4) === 0 ? 20_000 : 2000)}`
        const action = random.below(10)
        if (action < 5) {
          const value = `${step}`.padEnd(random.below(random.below(50) === 0 ? 20_000 : 400), 'v')
          const ttl = random.below(3) === 0 ? 1 + random.below(2000) : undefined
          cache.set(key, value, { ttl })
          model.set(key, { value, expiresMs: ttl === undefined ? Infinity : host.clock.nowMs() + ttl })
        } else if (action < 9) {
          const expected = model.get(key)
          const value = cache.get(key)
          if (value !== undefined) {
            hits++
            assert.equal(value, expected?.value, `step ${step}`)
            assert.ok(expected!.expiresMs > host.clock.nowMs() - 1, `step ${step}: over`)
          }
        } else {
          cache.delete(key)
          model.delete(key)
        }
        if (step % 50 === 0) host.advance(random.below(20))
        if (step % 15_000 === 14_999) {
          cache.clear()
          model.clear()
        }
        assert.ok(budget.usedBytes <= budget.totalBytes)
      }
      assert.ok(hits > 3000, `${hits} hits`)
      cache.close()
      assert.equal(budget.usedBytes, 0)
    })
  }
}

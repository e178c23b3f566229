/** Random operations compared to a Map of pages, with poison in all freed memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as pageJobs from './page-jobs.ts'
import type { Page } from './page.ts'
import { KIB, MIB, noise, pageBytes, testPool } from './testing/pools.ts'
import type { TestOptions } from './testing/pools.ts'

interface Step {
  kind: 'insert' | 'insertBacked' | 'read' | 'part' | 'admit' | 'pin' | 'unpin' | 'free' | 'limit' | 'shrink' | 'maintain' | 'idle'
  a: number
  b: number
}

const LENGTHS = [1, 100, 4096, 30_000, 64 * KIB, 64 * KIB + 1, 150_000, 512 * KIB, 3 * MIB]

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('insert', 'insert', 'insert', 'insertBacked', 'read', 'read', 'part', 'part', 'admit', 'pin', 'unpin', 'free', 'free', 'limit', 'shrink', 'maintain', 'idle'),
  a: fc.nat(1000),
  b: fc.nat(1000),
})

const VARIANTS: Record<string, TestOptions & { withRunner?: boolean }> = {
  'a scratch file': {},
  'a compressed tier before it': { targetRssBytes: 2 * MIB },
  'a tier and no file': { targetRssBytes: 64 * MIB, scratch: undefined },
  'a budget that is smaller than the limit': { budgetBytes: 5 * MIB, limitBytes: 64 * MIB },
  'eager backing': { eagerBacking: true, targetRssBytes: 1 * MIB },
  'spill jobs': { withRunner: true, targetRssBytes: 2 * MIB, eagerBacking: true },
}

for (const [name, { withRunner = false, ...options }] of Object.entries(VARIANTS)) {
  test(`random operations with ${name}: every page reads as inserted and memory stays within its bounds`, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const host = testPool({}).host
      const runner = withRunner ? host.runner({ worker: () => '', module: pageJobs, mode: 'worker', heapBytes: 0 }) : undefined
      const made = testPool({ limitBytes: 1 * MIB, ...options, ...(runner === undefined ? {} : { runner }) })
      const { pool, budget, account, tierAccount } = made
      const removal = budget.addReclaimer('cache', bytes => pool.shrink(bytes))
      const pages: { page: Page; bytes: Uint8Array; pins: Uint8Array[] }[] = []
      const target = new Uint8Array(3 * MIB + 16)
      let limitBytes = pool.limitBytes
      let seed = 1
      for (const { kind, a, b } of steps) {
        const chosen = pages[a % pages.length]
        if (kind === 'insert' || kind === 'insertBacked') {
          const bytes = b % 5 === 0 ? noise(seed++, LENGTHS[a % LENGTHS.length]!) : pageBytes(seed++, LENGTHS[a % LENGTHS.length]!)
          const around = new Uint8Array(bytes.length + 7)
          around.set(bytes, 3)
          const options = { depth: b % 4, shortLived: b % 7 === 0, asIs: b % 6 === 0 }
          const page = kind === 'insert'
            ? pool.insert(around, 3, 3 + bytes.length, options)
            : pool.insertBacked(around, 3, 3 + bytes.length, (to, at) => { to.set(bytes, at) }, options)
          around.fill(0)
          pages.push({ page, bytes, pins: [] })
        } else if (kind === 'limit') {
          limitBytes = (b % 30) * 64 * KIB
          pool.setLimit(limitBytes)
        } else if (kind === 'shrink') {
          const before = pool.rssBytes
          assert.equal(before - pool.rssBytes, pool.shrink(0))
          pool.shrink(b * KIB)
        } else if (kind === 'maintain') {
          pool.maintain()
        } else if (kind === 'idle') {
          await host.idle()
        } else if (chosen === undefined) {
          continue
        } else if (kind === 'read') {
          target.fill(0x11)
          pool.read(chosen.page, target, 5)
          assert.equal(Buffer.compare(target.subarray(5, 5 + chosen.bytes.length), chosen.bytes), 0)
          assert.equal(target[4], 0x11)
          assert.equal(target[5 + chosen.bytes.length], 0x11)
        } else if (kind === 'part') {
          const from = b * 7919 % chosen.bytes.length
          const to = from + (a * 31337 + b) % (chosen.bytes.length - from + 1)
          pool.read(chosen.page, target, 2, from, to)
          assert.equal(Buffer.compare(target.subarray(2, 2 + to - from), chosen.bytes.subarray(from, to)), 0)
        } else if (kind === 'admit') {
          pool.admit(chosen.page)
        } else if (kind === 'pin') {
          try {
            chosen.pins.push(pool.pin(chosen.page))
          } catch (error) {
            assert.equal((error as { code: string }).code, 'SPILLWAY_BUDGET_TOO_SMALL')
          }
        } else if (kind === 'unpin') {
          if (chosen.pins.length === 0) continue
          assert.equal(Buffer.compare(chosen.pins.pop()!, chosen.bytes), 0)
          pool.unpin(chosen.page)
        } else if (chosen.pins.length === 0) {
          pool.free(chosen.page)
          pages.splice(a % pages.length, 1)
        }
        for (const { pins, bytes } of pages) for (const pin of pins) assert.equal(Buffer.compare(pin, bytes), 0, 'a pin changed')
        const { residentBytes, warmBytes, extentBytesResident, bounceBytes, isSpillBlocked } = pool.stats()
        assert.equal(isSpillBlocked, false)
        assert.ok(budget.usedBytes <= budget.totalBytes)
        assert.ok(warmBytes <= limitBytes / 8)
        if (options.scratch === undefined && 'scratch' in options) continue
        const pinned = pages.reduce((sum, { page, pins }) => sum + (pins.length > 0 ? page.length + 4096 : 0), 0)
        assert.ok(residentBytes <= limitBytes + pinned, `${residentBytes} bytes in memory, limit ${limitBytes}`)
        const maxBytes = Math.max(limitBytes + warmBytes, options.targetRssBytes ?? 0)
        assert.ok(residentBytes + bounceBytes + warmBytes + extentBytesResident <= maxBytes + pinned)
      }
      for (const { page, bytes, pins } of pages) {
        pool.read(page, target, 0)
        assert.equal(Buffer.compare(target.subarray(0, bytes.length), bytes), 0)
        while (pins.pop() !== undefined) pool.unpin(page)
        pool.free(page)
      }
      await host.idle()
      const { residentBytes, extentBytesResident, scratchBytes, pages: left } = pool.stats()
      assert.deepEqual([residentBytes, extentBytesResident, scratchBytes, left], [0, 0, 0, 0])
      made.close()
      await host.idle()
      removal()
      assert.deepEqual([account.bytes, tierAccount.bytes, budget.usedBytes], [0, 0, 0], 'leases remain')
      assert.deepEqual(made.host.files.list('/scratch'), [])
    }), { seed: 20261121, numRuns: 60 })
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { Args } from './command.ts'
import { UsageError } from './errors.ts'
import { rangeOf } from './range.ts'

const seed = 4711
const key = fc.uint8Array({ maxLength: 3 }).map(bytes => Uint8Array.from(bytes, byte => [0, 1, 0xfe, 0xff][byte & 3]!))
const bound = fc.option(key.filter(bytes => bytes.length > 0), { nil: undefined })

test(`the half-open range holds exactly the keys that satisfy every bound (seed ${seed})`, () => {
  fc.assert(fc.property(fc.record({ gte: bound, gt: bound, lte: bound, lt: bound, prefix: bound }), key, (bounds, candidate) => {
    const hex = (bytes: Uint8Array | undefined) => bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')
    const { gte, gt, lte, lt, prefix } = bounds
    const args = new Args(['dir'], { hex: true, gte: hex(gte), gt: hex(gt), lte: hex(lte), lt: hex(lt), prefix: hex(prefix) })
    const expected = (gte === undefined || compareKeys(candidate, gte) >= 0)
      && (gt === undefined || compareKeys(candidate, gt) > 0)
      && (lte === undefined || compareKeys(candidate, lte) <= 0)
      && (lt === undefined || compareKeys(candidate, lt) < 0)
      && (prefix === undefined || hex(candidate)!.startsWith(hex(prefix)!))
    const range = rangeOf(args)
    const actual = (range.gte === undefined || compareKeys(candidate, range.gte) >= 0) && (range.lt === undefined || compareKeys(candidate, range.lt) < 0)
    assert.equal(actual, expected)
  }), { seed, numRuns: 5000 })
})

test('a bound that is empty is refused: it comes from a variable that is not set, and would mean every key', () => {
  for (const name of ['gte', 'gt', 'lte', 'lt', 'prefix']) {
    for (const form of [{}, { hex: true }, { base64: true }, { escaped: true }]) {
      assert.throws(() => rangeOf(new Args(['dir'], { ...form, [name]: '' })), error => {
        assert.ok(error instanceof UsageError)
        assert.match(error.message, new RegExp(`--${name} is empty. Omit it`))
        return true
      })
    }
  }
  assert.deepEqual(rangeOf(new Args(['dir'], {})), {})
})

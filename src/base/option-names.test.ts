import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { SpillwayError } from './errors.ts'
import { checkOptions, nearName } from './option-names.ts'

const KNOWN = ['gt', 'gte', 'lt', 'lte', 'snapshot', 'keyEncoding', 'valueEncoding', 'reverse', 'limit']

test('a misspelt option is answered with the one that was meant', () => {
  const meant: Record<string, string | undefined> = {
    get: 'gte', gte_: 'gte', GTE: 'gte', lmit: 'limit', limits: 'limit', revrese: 'reverse', valueEncodng: 'valueEncoding', valueencoding: 'valueEncoding',
    snapshto: 'snapshot', keyencodign: 'keyEncoding', prefix: undefined, x: undefined, gx: undefined, fillCache: undefined, '': undefined,
  }
  for (const [given, wanted] of Object.entries(meant)) assert.equal(nearName(given, KNOWN), wanted, given)
})

test('an option that is not known is refused with those that are, and with a hint that can be followed', () => {
  const refused = (options: object): SpillwayError => {
    try {
      checkOptions(options, KNOWN, 'iterator')
    } catch (error) {
      assert.ok(error instanceof SpillwayError)
      assert.equal(error.code, 'SPILLWAY_INVALID_ARGUMENT')
      return error
    }
    throw new Error('taken')
  }
  const error = refused({ get: 'a' })
  assert.match(error.message, /^iterator has no option "get"; it has gt, gte, .*limit\. Did you mean "gte"\?$/)
  assert.deepEqual(error.details, { option: 'get', known: KNOWN, near: 'gte' })
  assert.doesNotMatch(refused({ gte: 'a', get: 'b' }).message, /Did you mean "gte"/, 'what is given already was not meant')
  assert.doesNotMatch(refused({ colour: 1 }).message, /Did you mean/)
})

test('what holds data of its own is not taken for an object without options', () => {
  for (const wrong of [[], new Map(), new Set(['gte']), new Date(0), new Uint8Array(0), new ArrayBuffer(0), /x/, Promise.resolve(), new Error('x')]) {
    assert.throws(() => { checkOptions(wrong, KNOWN, 'count') }, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^count: options must be an object such as/ })
  }
  for (const wrong of [null, 'a', 5, true, () => 1]) {
    assert.throws(() => { checkOptions(wrong as never, KNOWN, 'count') }, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^count: options must be an object, not/ })
  }
  for (const fine of [undefined, {}, Object.create(null), runInNewContext('({})'), new (class Range { limit = 5 })(), { limit: undefined }]) {
    checkOptions(fine as object | undefined, KNOWN, 'count')
  }
})

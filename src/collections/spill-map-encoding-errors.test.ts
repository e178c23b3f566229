/** Failing codecs name the key and leave the map unchanged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpillMap } from './spill-map.ts'

for (const order of ['insertion', 'key'] as const) {
  test(`a failing encoding names the key, and the entries stay (order: '${order}')`, () => {
    let isBroken = false
    const codec = {
      name: 'own',
      encode: (value: string) => { if (isBroken) throw new Error('out of order'); return value },
      decode: (bytes: Uint8Array) => { if (isBroken) throw new Error('out of order'); return Buffer.from(bytes).toString() },
    }
    using map = new SpillMap<string, string>([['a', '1'], ['b', '2'], ['c', '3']], { budget: '8 MiB', order, valueEncoding: codec })
    isBroken = true
    assert.throws(() => map.get('b'), { code: 'SPILLWAY_DECODING', message: /^the value of key "b": encoding 'own' cannot decode it: out of order\. / })
    assert.throws(() => map.set('d', '4'), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^the value for key "d": encoding 'own' cannot encode it: out of order\. / })
    const iterator = map.entries()
    assert.throws(() => iterator.next(), { code: 'SPILLWAY_DECODING', message: /^the value of key "a": / })
    isBroken = false
    assert.deepEqual([...iterator], [['b', '2'], ['c', '3']], 'it continues after the failed entry')
    assert.deepEqual([...map.keys()], ['a', 'b', 'c'])

    using json = new SpillMap<unknown, unknown>([[1, 1]], { budget: '8 MiB', order, keyEncoding: 'json', valueEncoding: 'json' })
    assert.throws(() => json.set(2, 2n), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^the value for key 2: encoding 'json' cannot encode it: / })
    assert.throws(() => json.set(2n, 2), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^the key 2n: encoding 'json' cannot encode it: / })
    assert.deepEqual([...json], [[1, 1]])

    let keysAreBroken = false
    const keys = { encode: (key: string) => key, decode: (bytes: Uint8Array) => { if (keysAreBroken) throw new Error('no key'); return Buffer.from(bytes).toString() } }
    using own = new SpillMap<string, number>([['k', 1]], { budget: '8 MiB', order, keyEncoding: keys })
    keysAreBroken = true
    assert.throws(() => [...own.keys()], { code: 'SPILLWAY_DECODING', message: /^the key .*encoding 'custom' cannot decode it: no key/ })
    assert.equal(own.get('k'), 1)
  })
}

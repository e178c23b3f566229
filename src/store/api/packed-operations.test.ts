import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIND_DELETE, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { Scratch, transcoder } from '../../encoding/encoding.ts'
import type { Encoding } from '../../encoding/encoding.ts'
import { BatchOperations, OperationList, SingleOperation } from './operations.ts'
import type { Operations } from './operation.ts'
import { WAITER_BYTES } from './packed-operations.ts'
import type { BatchOperation } from './options.ts'

function batchOf(operations: BatchOperation<unknown, unknown>[], values: Encoding = 'utf8'): BatchOperations {
  return new BatchOperations(operations, transcoder('utf8', 'keyEncoding'), transcoder(values, 'valueEncoding'), new Scratch(64), new Scratch(64))
}

function listed(operations: Operations): [number, string, string][] {
  const text = (bytes: Uint8Array, start: number, end: number): string => Buffer.from(bytes.subarray(start, end)).toString()
  return Array.from({ length: operations.count }, (_, i) => {
    operations.load(i)
    const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
    return [kind, text(key, keyStart, keyEnd), text(value, valueStart, valueEnd)]
  })
}

test('a kept batch holds every operation, empty keys and values too, and loads them in any order', () => {
  const given: BatchOperation<unknown, unknown>[] = [
    { type: 'put', key: 'a', value: 'x'.repeat(300) }, { type: 'del', key: '' }, { type: 'put', key: 'éé', value: '' },
    { type: 'put', key: Buffer.from('b'), value: 7 }, { type: 'del', key: 'c' },
  ]
  const kept = batchOf(given).keep()
  const expected = [[KIND_PUT, 'a', 'x'.repeat(300)], [KIND_DELETE, '', ''], [KIND_PUT, 'éé', ''], [KIND_PUT, 'b', '7'], [KIND_DELETE, 'c', '']]
  assert.deepEqual(listed(kept), expected)
  given.length = 0
  assert.deepEqual(listed(kept), expected)
  kept.load(1)
  kept.load(3)
  assert.deepEqual([kept.keyEnd - kept.keyStart, kept.valueEnd - kept.valueStart], [1, 1])
})

test('what is kept counts with all its bytes, known before it is copied', () => {
  const batch = batchOf([{ type: 'put', key: 'key', value: 'x'.repeat(5000) }, { type: 'del', key: 'other' }])
  assert.equal(batch.bytes, WAITER_BYTES + 2 * 9 + 5008)
  assert.equal(batch.keep().bytes, batch.bytes)
  const single = new SingleOperation()
  single.key = single.value = new Uint8Array(1000).fill(65)
  single.keyStart = 10
  single.keyEnd = 20
  single.valueEnd = 1000
  const kept = single.keep()
  assert.deepEqual([kept.bytes, single.bytes], [WAITER_BYTES + 9 + 1010, WAITER_BYTES + 9 + 1010])
  single.key.fill(0)
  assert.deepEqual(listed(kept), [[KIND_PUT, 'A'.repeat(10), 'A'.repeat(1000)]])
  const list = new OperationList()
  list.add(KIND_DELETE, new Uint8Array(30), new Uint8Array(0))
  list.preparedBytes = 100
  assert.equal(list.bytes, WAITER_BYTES + 130)
})

test('a codec whose encodings grow from call to call does no harm', () => {
  let calls = 0
  const values = { encode: () => 'v'.repeat(++calls * 50), decode: () => undefined }
  const kept = batchOf([{ type: 'put', key: 'a', value: 1 }, { type: 'put', key: 'b', value: 2 }], values).keep()
  assert.deepEqual(listed(kept), [[KIND_PUT, 'a', 'v'.repeat(150)], [KIND_PUT, 'b', 'v'.repeat(200)]])
  assert.ok(kept.bytes >= WAITER_BYTES + 352)
})

test('text left as it is, because it is long, is kept as its bytes', () => {
  const text = 'é'.repeat(500) + '€'
  const batch = new BatchOperations(
    [{ type: 'put', key: 'a', value: text }, { type: 'del', key: 'b' }, { type: 'put', key: 'c', value: 'short' }],
    transcoder('utf8', 'keyEncoding'), transcoder('utf8', 'valueEncoding'), new Scratch(64), new Scratch(64, true),
  )
  batch.load(0)
  assert.deepEqual([batch.longText, batch.valueEnd - batch.valueStart], [text, 1003])
  batch.load(1)
  assert.equal(batch.longText, '')
  assert.equal(batch.bytes, WAITER_BYTES + 3 * 9 + 3 + 1003 + 5)
  assert.deepEqual(listed(batch.keep()), [[KIND_PUT, 'a', text], [KIND_DELETE, 'b', ''], [KIND_PUT, 'c', 'short']])
})

test('loading again undoes what a large value\'s reference replaced', () => {
  const kept = batchOf([{ type: 'put', key: 'a', value: 'value' }]).keep()
  kept.load(0)
  kept.kind = KIND_VALUE_FILE
  kept.value = new Uint8Array(2)
  kept.valueStart = 0
  kept.valueEnd = 2
  assert.deepEqual(listed(kept), [[KIND_PUT, 'a', 'value']])
})

test('an operation that cannot be written is refused when it is kept', () => {
  const batch = batchOf([{ type: 'put', key: 'a', value: 'v' }, { type: 'pot' as 'put', key: 'b', value: 'v' }])
  assert.throws(() => batch.keep(), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /operation 1/ })
})

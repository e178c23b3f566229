import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { isAbortSignal, isArrayBuffer, isBytes, isPlainObject } from './realms.ts'

const foreign = (code: string): never => runInNewContext(code, { Buffer }) as never

test('bytes are bytes in every realm, and nothing else is', () => {
  for (const bytes of [new Uint8Array(1), Buffer.alloc(1), foreign('new Uint8Array(1)'), foreign('new (class Own extends Uint8Array {})(1)')]) assert.equal(isBytes(bytes), true)
  for (const other of [new Int8Array(1), new Uint8ClampedArray(1), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), [1], 'a', null, undefined, 5, {},
    { [Symbol.toStringTag]: 'Uint8Array' }, foreign('new Uint16Array(1)'), foreign('[1]')]) assert.equal(isBytes(other), false)
  assert.equal(isArrayBuffer(foreign('new ArrayBuffer(1)')), true)
  assert.equal(isArrayBuffer(foreign('new Uint8Array(1)')), false)
  assert.equal(isArrayBuffer(null), false)
})

test('a plain object is one in every realm; an instance of a class is none', () => {
  for (const plain of [{}, { a: 1 }, Object.create(null), foreign('({ a: 1 })'), foreign('Object.create(null)'), foreign('JSON.parse("{}")')]) {
    assert.equal(isPlainObject(plain as object), true)
  }
  for (const other of [new (class Own {})(), new Map(), new Date(), [], Object.create({}), Object.create(Object.create(null)), foreign('new (class Own {})()'),
    foreign('new Map()'), foreign('Object.create({})'), foreign('[]')]) assert.equal(isPlainObject(other as object), false)
})

test('an abort signal is what can be asked and listened to', () => {
  assert.equal(isAbortSignal(new AbortController().signal), true)
  assert.equal(isAbortSignal({ aborted: false, addEventListener() {}, removeEventListener() {} }), true)
  for (const other of [null, undefined, {}, 'signal', new AbortController(), { aborted: true }]) assert.equal(isAbortSignal(other), false)
})

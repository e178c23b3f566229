import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../../base/bytes.ts'
import { bytesOf } from '../testing/model.ts'
import { compareSeparator, handleAt, indexNodeProblem, nodeCount, nodeLevel, searchIndexNode } from './index-node.ts'
import { IndexNodeWriter } from './index-node-writer.ts'
import { readU32 } from '../little-endian.ts'

const SEED = 20250303
const AT = 5
const STORED_AT = 1 << 20

function encode(separators: readonly Uint8Array[], level: number): { bytes: Uint8Array; end: number } {
  const writer = new IndexNodeWriter(level, 128, 1 << 20)
  separators.forEach((separator, i) => writer.add(separator, 0, separator.length, 1000 + i * 50, 40, 500, level === 1 ? 30 : 0))
  const bytes = new Uint8Array(writer.encodedBytes + separators.length * 2 + 100).fill(0xa5)
  const end = writer.encode(bytes, AT)
  return { bytes, end }
}

const key = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.array(fc.constantFrom(0, 0, 1, 255), { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes)),
  fc.nat(999).map((n) => bytesOf(`some/long/common/prefix/${n}`)),
)

test(`a search finds the first separator >= the key (seed ${SEED})`, () => {
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 100 }), fc.array(key, { maxLength: 30 }), fc.nat(2), (list, probes, level) => {
    const separators = [...list].sort(compareKeys)
    const { bytes, end } = encode(separators, level)
    assert.equal(indexNodeProblem(bytes, AT, end, STORED_AT), undefined)
    assert.equal(nodeCount(bytes, AT), separators.length)
    assert.equal(nodeLevel(bytes, AT), level)
    for (const probe of [...probes, ...separators]) {
      const expected = separators.findIndex((separator) => compareKeys(separator, probe) >= 0)
      assert.equal(searchIndexNode(bytes, AT, probe, 0, probe.length), expected < 0 ? separators.length : expected)
      separators.forEach((separator, i) => {
        assert.equal(Math.sign(compareSeparator(bytes, AT, i, probe, 0, probe.length)), Math.sign(compareKeys(separator, probe)))
      })
    }
    separators.forEach((_, i) => {
      const handle = handleAt(bytes, AT, i)
      assert.deepEqual([readU32(bytes, handle), readU32(bytes, handle + 4)], [1000 + i * 50, 40])
      if (level === 1) assert.deepEqual([readU32(bytes, handle + 8), readU32(bytes, handle + 12)], [500, 30])
    })
  }), { seed: SEED, numRuns: 300 })
})

test('separators of 64 KiB that differ at their end only are stored near once', () => {
  const prefix = 'p'.repeat(65535)
  const separators = Array.from({ length: 20 }, (_, i) => bytesOf(prefix + String.fromCharCode(i)))
  const { bytes, end } = encode(separators, 0)
  assert.ok(end < 67_000)
  separators.forEach((separator, i) => assert.equal(searchIndexNode(bytes, AT, separator, 0, separator.length), i))
})

test('any changed byte of a node is either refused or searched within the node', () => {
  const separators = Array.from({ length: 12 }, (_, i) => bytesOf(`prefix${String.fromCharCode(97 + i).repeat(i + 1)}`))
  const { bytes, end } = encode(separators, 1)
  const exact = bytes.slice(0, end)
  for (let at = AT + 1; at < end; at++) {
    exact[at]! ^= 0x41
    if (indexNodeProblem(exact, AT, end, STORED_AT) === undefined) {
      for (const separator of separators) assert.ok(searchIndexNode(exact, AT, separator, 0, separator.length) <= separators.length)
    }
    exact[at]! ^= 0x41
  }
  for (let cut = AT; cut < end; cut++) assert.notEqual(indexNodeProblem(exact, AT, cut, STORED_AT), undefined)
})

test('children behind their node, or out of order, are refused', () => {
  const { bytes, end } = encode([bytesOf('a'), bytesOf('b')], 0)
  assert.match(indexNodeProblem(bytes, AT, end, 1000)!, /child 0/)
  assert.match(indexNodeProblem(bytes, AT, end, 1080)!, /child 1/)
  const handle = handleAt(bytes, AT, 1)
  bytes[handle + 1] = 0
  assert.match(indexNodeProblem(bytes, AT, end, STORED_AT)!, /child 1/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashKey } from '../../base/hash.ts'
import { bytesOf, randomNumbers } from '../testing/model.ts'
import { encodeFilter, filterMayContain, filterProblem } from './filter.ts'
import { FilterWriter } from './filter-writer.ts'

const hashOf = (text: string) => hashKey(bytesOf(text), 0, text.length)

function falsePositives(keys: number, bitsPerKey: number, name: (i: number) => string): number {
  const hashes = Uint32Array.from({ length: keys }, (_, i) => hashOf(name(i)))
  const target = new Uint8Array(keys * 4 + 200)
  const end = encodeFilter(target, 0, hashes, keys, bitsPerKey)
  assert.equal(filterProblem(target, 0, end), undefined)
  for (const hash of hashes) assert.ok(filterMayContain(target, 0, hash))
  let positives = 0
  const probes = 200_000
  for (let i = 0; i < probes; i++) if (filterMayContain(target, 0, hashOf(name(keys + i)))) positives++
  return positives / probes
}

test('at 10 bits a key at most 1.5 % of absent keys pass', () => {
  for (const keys of [51, 500, 4480, 8192]) {
    const rate = falsePositives(keys, 10, (i) => `key:${i}`)
    assert.ok(rate <= 0.015, `${(rate * 100).toFixed(2)} % with ${keys} keys`)
  }
  const random = randomNumbers(1)
  const names = Array.from({ length: 210_000 }, () => String.fromCharCode(...Array.from({ length: 16 }, () => random() & 255)))
  const rate = falsePositives(5000, 10, (i) => names[i]!)
  assert.ok(rate <= 0.015, `${(rate * 100).toFixed(2)} % with random keys`)
})

test('more bits a key let fewer absent keys pass', () => {
  const rates = [4, 10, 20].map((bits) => falsePositives(4000, bits, (i) => `user/${i}/name`))
  assert.ok(rates[0]! > rates[1]! && rates[1]! > rates[2]!, rates.join(' '))
  assert.ok(rates[2]! < 0.001, `${rates[2]}`)
})

test('a filter of no keys denies every key', () => {
  const target = new Uint8Array(200)
  encodeFilter(target, 0, new Uint32Array(0), 0, 10)
  for (let i = 0; i < 1000; i++) assert.ok(!filterMayContain(target, 0, hashOf(`k${i}`)))
})

test('hashes after the mark belong to the next filter', () => {
  const writer = new FilterWriter(100, 10)
  const target = new Uint8Array(400)
  writer.add(hashOf('first'))
  writer.mark()
  writer.add(hashOf('second'))
  writer.encode(target, 0)
  assert.ok(filterMayContain(target, 0, hashOf('first')))
  assert.ok(!filterMayContain(target, 0, hashOf('second')))
  assert.equal(writer.count, 1)
  writer.mark()
  writer.encode(target, 0)
  assert.ok(filterMayContain(target, 0, hashOf('second')))
  assert.ok(!filterMayContain(target, 0, hashOf('first')))
})

test('a filter with another number of lines than bytes is refused', () => {
  const target = new Uint8Array(400)
  const end = encodeFilter(target, 0, new Uint32Array(60), 60, 10)
  assert.equal(filterProblem(target, 0, end), undefined)
  assert.match(filterProblem(target, 0, end - 64)!, /lines/)
  assert.match(filterProblem(target, 0, 4)!, /4 bytes/)
  target[1] = 5
  assert.match(filterProblem(target, 0, end)!, /5 bits a key/)
})

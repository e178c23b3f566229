import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashKey } from '../../base/hash.ts'
import { bytesOf, randomNumbers, testKernels } from '../testing/model.ts'
import { BLOCK_FILTER } from '../format.ts'
import { encodeFilter, filterLines, filterMayContain, filterProbes, filterProblem } from './filter.ts'
import { FilterWriter } from './filter-writer.ts'

const hashOf = (text: string) => hashKey(bytesOf(text), 0, text.length)

function encoded(hashes: Uint32Array, bitsPerKey: number): Uint8Array {
  const { memory, a } = testKernels()
  memory.fill(0xff, a, a + 65536)
  return memory.slice(a, encodeFilter(testKernels(), hashes, hashes.length, bitsPerKey))
}

/** By the description in filter.ts, bit by bit. */
function slowFilter(hashes: Uint32Array, bitsPerKey: number): Uint8Array {
  const lines = filterLines(hashes.length, bitsPerKey)
  const target = new Uint8Array(8 + 64 * lines)
  target.set([BLOCK_FILTER, filterProbes(bitsPerKey), 0, 0, lines & 255, lines >>> 8])
  for (const hash of hashes) {
    const line = 8 + 64 * Number((BigInt(hash) * BigInt(lines)) >> 32n)
    let mix = BigInt(hash)
    for (let i = 0; i < filterProbes(bitsPerKey); i += 3) {
      mix = ((mix ^ (mix >> 16n)) * 0x85ebca6bn) & 0xffffffffn
      mix = ((mix ^ (mix >> 13n)) * 0xc2b2ae35n) & 0xffffffffn
      for (const shift of [23n, 14n, 5n]) {
        const bit = Number((mix >> shift) & 511n)
        target[line + (bit >>> 3)]! |= 1 << (bit & 7)
      }
    }
  }
  return target
}

test('a filter has the bits that its description says', () => {
  const random = randomNumbers(3)
  for (const [keys, bitsPerKey] of [[0, 10], [1, 1], [3, 32], [60, 10], [1000, 6], [2500, 14]] as const) {
    const hashes = Uint32Array.from({ length: keys }, () => random())
    assert.deepEqual(encoded(hashes, bitsPerKey), slowFilter(hashes, bitsPerKey))
  }
})

function falsePositives(keys: number, bitsPerKey: number, name: (i: number) => string): number {
  const hashes = Uint32Array.from({ length: keys }, (_, i) => hashOf(name(i)))
  const target = encoded(hashes, bitsPerKey)
  assert.equal(filterProblem(target, 0, target.length), undefined)
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
  const target = encoded(new Uint32Array(0), 10)
  for (let i = 0; i < 1000; i++) assert.ok(!filterMayContain(target, 0, hashOf(`k${i}`)))
})

test('hashes after the mark belong to the next filter', () => {
  const kernels = testKernels()
  const mayContain = (key: string): boolean => filterMayContain(kernels.memory, kernels.a, hashOf(key))
  const writer = new FilterWriter(100, 10)
  writer.add(hashOf('first'))
  writer.mark()
  writer.add(hashOf('second'))
  writer.encode(kernels)
  assert.deepEqual([mayContain('first'), mayContain('second'), writer.count], [true, false, 1])
  writer.mark()
  writer.encode(kernels)
  assert.deepEqual([mayContain('first'), mayContain('second'), writer.count], [false, true, 0])
})

test('a filter with another number of lines than bytes is refused', () => {
  const target = encoded(new Uint32Array(60), 10)
  const end = target.length
  assert.equal(filterProblem(target, 0, end), undefined)
  assert.match(filterProblem(target, 0, end - 64)!, /lines/)
  assert.match(filterProblem(target, 0, 4)!, /4 bytes/)
  target[1] = 5
  assert.match(filterProblem(target, 0, end)!, /5 bits a key/)
})

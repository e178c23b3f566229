import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Kernels, compressBound } from './kernels.ts'

const SEED = 20240607
const REGION = 1 << 17
const kernels = new Kernels(REGION)
const { memory, a, b } = kernels

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function hashHex(bytes: Uint8Array, seed = 0n): string {
  memory.set(bytes, a)
  kernels.hash(a, bytes.length, Number(seed >> 32n), Number(seed & 0xffffffffn))
  return kernels.hashHigh.toString(16).padStart(8, '0') + kernels.hashLow.toString(16).padStart(8, '0')
}

const M = (1n << 64n) - 1n
const [P1, P2, P3, P4, P5] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n]

/** XXH64 straight from its specification, in BigInt. */
function slowHash(bytes: Uint8Array, seed: bigint): string {
  const rotl = (x: bigint, r: bigint) => ((x << r) | (x >> (64n - r))) & M
  const lane = (at: number, size: number) => {
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!)
    return value
  }
  const round = (acc: bigint, input: bigint) => (rotl((acc + input * P2) & M, 31n) * P1) & M
  let at = 0
  let h = (seed + P5) & M
  if (bytes.length >= 32) {
    const v = [(seed + P1 + P2) & M, (seed + P2) & M, seed, (seed - P1) & M]
    for (; at + 32 <= bytes.length; at += 32) for (let i = 0; i < 4; i++) v[i] = round(v[i]!, lane(at + 8 * i, 8))
    h = (rotl(v[0]!, 1n) + rotl(v[1]!, 7n) + rotl(v[2]!, 12n) + rotl(v[3]!, 18n)) & M
    for (const x of v) h = ((h ^ round(0n, x)) * P1 + P4) & M
  }
  h = (h + BigInt(bytes.length)) & M
  for (; at + 8 <= bytes.length; at += 8) h = (rotl(h ^ round(0n, lane(at, 8)), 27n) * P1 + P4) & M
  for (; at + 4 <= bytes.length; at += 4) h = (rotl(h ^ ((lane(at, 4) * P1) & M), 23n) * P2 + P3) & M
  for (; at < bytes.length; at++) h = (rotl(h ^ ((lane(at, 1) * P5) & M), 11n) * P1) & M
  h = ((h ^ (h >> 33n)) * P2) & M
  h = ((h ^ (h >> 29n)) * P3) & M
  return (h ^ (h >> 32n)).toString(16).padStart(16, '0')
}

/**
 * An LZ4 block decoder straight from the format's description; throws on anything malformed. `endRules`: also on what
 * an encoder must not do, though a decoder may take it (fewer than 5 literals at the end, a match in the last 12 bytes).
 */
function slowDecompress(block: Uint8Array, endRules = false): Uint8Array {
  const out: number[] = []
  let at = 0
  let matchStart = -1
  let matchEnd = 0
  const byte = () => {
    if (at >= block.length) throw new Error('truncated')
    return block[at++]!
  }
  const extended = (length: number) => {
    if (length === 15) for (let more = 255; more === 255; length += more) more = byte()
    return length
  }
  while (true) {
    const token = byte()
    for (let n = extended(token >> 4); n > 0; n--) out.push(byte())
    if (at === block.length) {
      if (endRules && matchStart >= 0) assert.ok(out.length - matchStart >= 12 && out.length - matchEnd >= 5, 'end rules')
      return Uint8Array.from(out)
    }
    const distance = byte() | (byte() << 8)
    if (distance === 0 || distance > out.length) throw new Error('distance')
    matchStart = out.length
    for (let n = extended(token & 15) + 4; n > 0; n--) out.push(out[out.length - distance]!)
    matchEnd = out.length
  }
}

function compress(bytes: Uint8Array, capacity = compressBound(bytes.length)): Uint8Array {
  memory.set(bytes, a)
  const length = kernels.compress(a, bytes.length, b, capacity)
  return memory.slice(b, b + length)
}

/** Decompress with the rest of both regions poisoned; the poison around the target must survive. */
function decompress(block: Uint8Array, capacity: number): Uint8Array | undefined {
  const margin = 64
  memory.fill(0xdb, a, a + block.length + margin)
  memory.set(block, a)
  memory.fill(0xdb, b, b + capacity + 2 * margin)
  const length = kernels.decompress(a, block.length, b + margin, capacity)
  for (let i = 0; i < margin; i++) {
    assert.equal(memory[b + i], 0xdb, 'a byte before the target was written')
    assert.equal(memory[b + margin + capacity + i], 0xdb, 'a byte after the target was written')
  }
  assert.deepEqual(memory.slice(a, a + block.length), block, 'the input was changed')
  if (length === -1) return undefined
  assert.ok(length >= 0 && length <= capacity)
  return memory.slice(b + margin, b + margin + length)
}

function sample(length: number, style: number, next: () => number): Uint8Array {
  const bytes = new Uint8Array(length)
  const period = 1 + (next() % 40)
  for (let i = 0; i < length; i++) {
    if (style === 0) bytes[i] = next()
    else if (style === 1) bytes[i] = i < period ? next() : bytes[i - period]!
    else if (style === 2) bytes[i] = 97 + (next() % 3)
    else bytes[i] = i > 40 && (i >> 4) % 3 !== 0 ? bytes[i - 33]! : next()
  }
  return bytes
}

test('XXH64 gives the published vectors', () => {
  assert.equal(hashHex(bytesOf('')), 'ef46db3751d8e999')
  assert.equal(hashHex(bytesOf('a')), 'd24ec4f1a98c6e5b')
  assert.equal(hashHex(bytesOf('abc')), '44bc2cf5ad770999')
  assert.equal(hashHex(bytesOf('Nobody inspects the spammish repetition')), 'fbcea83c8a378bf1')
})

test('XXH64 agrees with its specification at every length to 300, at any alignment and seed', () => {
  const next = random(SEED)
  for (let length = 0; length <= 300; length++) {
    const bytes = sample(length, 0, next)
    const seed = (BigInt(next()) << 32n) | BigInt(next())
    const expected = slowHash(bytes, seed)
    assert.equal(hashHex(bytes, seed), expected, `length ${length}, seed ${seed}`)
    memory.set(bytes, b + (length % 16))
    kernels.hash(b + (length % 16), length, Number(seed >> 32n), Number(seed & 0xffffffffn))
    assert.equal(kernels.hashHigh, Number(BigInt(`0x${expected}`) >> 32n))
    assert.equal(kernels.hashLow, Number(BigInt(`0x${expected}`) & 0xffffffffn))
  }
})

test('hand-made LZ4 blocks decompress as the format says', () => {
  const cases: [number[], string][] = [
    [[0x00], ''],
    [[0x30, 97, 98, 99], 'abc'],
    // One literal repeated (distance 1), then five literals.
    [[0x1f, 97, 1, 0, 5, 0x50, 98, 99, 100, 101, 102], 'a'.repeat(25) + 'bcdef'],
    // Distance 3, an extended literal length of exactly 15, and a match without literals before it.
    [[0xf2, 0, ...bytesOf('abcdefghijklmno'), 3, 0, 0x01, 21, 0, 0x00], 'abcdefghijklmno' + 'mnomno' + 'abcde'],
    [[0xf0, 255, 0, ...new Array<number>(270).fill(120)], 'x'.repeat(270)],
  ]
  for (const [block, text] of cases) {
    const bytes = bytesOf(text)
    assert.deepEqual(decompress(Uint8Array.from(block), bytes.length), bytes)
    assert.deepEqual(decompress(Uint8Array.from(block), bytes.length + 100), bytes)
    if (bytes.length > 0) assert.equal(decompress(Uint8Array.from(block), bytes.length - 1), undefined)
  }
})

test('malformed LZ4 blocks are refused', () => {
  const blocks = [
    [], // no token
    [0x10], // literals missing
    [0xf0], // length byte missing
    [0xf0, 255, 255], // length never ends
    [0x10, 97, 1], // half a distance
    [0x10, 97, 0, 0], // distance 0
    [0x10, 97, 2, 0, 0x00], // distance before the start
    [0x1f, 97, 1, 0], // match length byte missing
    [0x10, 97, 1, 0], // nothing after the match
  ]
  for (const block of blocks) assert.equal(decompress(Uint8Array.from(block), 1000), undefined, JSON.stringify(block))
  assert.equal(decompress(new Uint8Array(60_000).fill(255), 1000), undefined)
})

test('every length from 0 to 300 survives a round trip and reads as standard LZ4', () => {
  const next = random(SEED)
  for (let length = 0; length <= 300; length++) {
    for (let style = 0; style < 4; style++) {
      const bytes = sample(length, style, next)
      const block = compress(bytes)
      assert.ok(block.length > 0)
      assert.deepEqual(slowDecompress(block, true), bytes)
      assert.deepEqual(decompress(block, length), bytes)
      assert.deepEqual(decompress(block, length + 40), bytes)
      if (length > 0) assert.equal(decompress(block, length - 1), undefined)
    }
  }
})

test('compressible and random data of any length survives a round trip', () => {
  console.log(`seed ${SEED}`)
  fc.assert(fc.property(fc.nat(), fc.integer({ min: 0, max: 90_000 }), fc.integer({ min: 0, max: 3 }), (seed, length, style) => {
    const bytes = sample(length, style, random(seed))
    const block = compress(bytes)
    assert.ok(block.length > 0 && block.length <= compressBound(length))
    assert.deepEqual(Buffer.from(decompress(block, length)!), Buffer.from(bytes))
    assert.deepEqual(Buffer.from(slowDecompress(block, true)), Buffer.from(bytes))
    if (style === 1 && length > 1000) assert.ok(block.length < length / 10, `${length} periodic bytes became ${block.length}`)
  }), { seed: SEED, numRuns: 60 })
})

test('every match distance from 1 to 40 and length to 100 decompresses, near the end of the target and away from it', () => {
  const next = random(SEED)
  for (let distance = 1; distance <= 40; distance++) {
    for (let extent = 4; extent <= 100; extent++) {
      const literals = sample(distance, 0, next)
      const block = [distance < 15 ? distance << 4 : 0xf0]
      if (distance >= 15) block.push(distance - 15)
      block.push(...literals, distance, 0)
      block[0]! |= Math.min(extent - 4, 15)
      if (extent >= 19) block.push(extent - 19)
      block.push(0)
      const bytes = Uint8Array.from(block)
      const expected = slowDecompress(bytes)
      assert.deepEqual(decompress(bytes, expected.length), expected)
      assert.deepEqual(decompress(bytes, expected.length + 64), expected)
    }
  }
})

test('a block is given up exactly when it does not fit, and nothing beyond the capacity is written', () => {
  const next = random(SEED)
  for (let round = 0; round < 200; round++) {
    const bytes = sample(next() % 2000, round % 4, next)
    const whole = compress(bytes)
    assert.deepEqual(compress(bytes, whole.length), whole)
    for (const capacity of [whole.length - 1, Math.floor(whole.length / 2), 0]) {
      memory.fill(0xdb, b, b + whole.length + 32)
      assert.equal(compress(bytes, capacity).length, 0)
      for (let i = capacity; i < whole.length + 32; i++) assert.equal(memory[b + i], 0xdb)
    }
  }
})

test('what is compressed does not depend on earlier calls', () => {
  const next = random(SEED)
  const bytes = sample(5000, 3, next)
  const first = compress(bytes)
  for (let i = 0; i < 20; i++) compress(sample(5000, 3, next))
  assert.deepEqual(compress(bytes), first)
  const other = new Kernels(5000)
  other.memory.set(bytes, other.b)
  const length = other.compress(other.b, bytes.length, other.a, compressBound(5000))
  assert.deepEqual(other.memory.slice(other.a, other.a + length), first)
})

test('the match table stays right when its 32-bit positions run out', () => {
  const small = new Kernels(1 << 26)
  const bytes = sample(5000, 3, random(SEED))
  const expected = compress(bytes)
  // All zeros compress in one match, so this passes 2^32 positions quickly.
  for (let i = 0; i < 66; i++) {
    assert.ok(small.compress(small.a, 1 << 26, small.b, 1 << 20) > 0)
    small.memory.set(bytes, small.a)
    const length = small.compress(small.a, bytes.length, small.b, 6000)
    assert.deepEqual(small.memory.slice(small.b, small.b + length), expected)
    small.memory.fill(0, small.a, small.a + bytes.length)
  }
})

test('flipped, cut and invented blocks never crash, hang or touch memory outside the target', () => {
  const next = random(SEED)
  let refused = 0
  let other = 0
  for (let round = 0; round < 3000; round++) {
    let block: Uint8Array
    if (round % 3 === 0) {
      block = sample(next() % 400, round % 4, next)
    } else {
      block = compress(sample(next() % 3000, 1 + (round % 3), next))
      if (round % 3 === 1) block = block.slice(0, next() % block.length)
      else block[next() % block.length]! ^= 1 << (next() % 8)
    }
    let expected: Uint8Array | undefined
    try {
      expected = slowDecompress(block)
    } catch {
      expected = undefined
    }
    const capacity = next() % 4000
    if (expected !== undefined && expected.length > capacity) expected = undefined
    const result = decompress(block, capacity)
    assert.deepEqual(result, expected)
    if (result === undefined) refused++
    else other++
  }
  assert.ok(refused > 100 && other > 100, `${refused} refused, ${other} taken`)
})

test('ranges outside the regions and overlapping ranges are refused', () => {
  const end = memory.length
  const calls: (() => void)[] = [
    () => kernels.hash(a - 1, 1, 0, 0),
    () => kernels.hash(0, 8, 0, 0),
    () => kernels.hash(end, 1, 0, 0),
    () => kernels.hash(a, -1, 0, 0),
    () => kernels.hash(a, 2 ** 32, 0, 0),
    () => kernels.hash(NaN, 1, 0, 0),
    () => kernels.hash(a, NaN, 0, 0),
    () => kernels.compress(a, 10, end - 5, 10),
    () => kernels.compress(0, 10, b, 10),
    () => kernels.compress(a, 10, a + 9, 10),
    () => kernels.decompress(a, 10, 0, 10),
    () => kernels.decompress(a, Infinity, b, 10),
    () => kernels.decompress(b, 10, b - 9, 10),
  ]
  for (const call of calls) assert.throws(call, RangeError, String(call))
  for (const bytes of [0, -1, 1.5, NaN, 2 ** 31]) assert.throws(() => new Kernels(bytes), RangeError)
})

test('an instance holds the memory it says, with room for the worst case in both regions', () => {
  for (const regionBytes of [1, 4096, 65536, 300_000]) {
    const instance = new Kernels(regionBytes)
    assert.equal(instance.memory.length, Kernels.bytesFor(regionBytes))
    assert.equal(instance.regionBytes, regionBytes)
    assert.ok(instance.b - instance.a >= compressBound(regionBytes))
    assert.ok(instance.memory.length - instance.b >= compressBound(regionBytes))
    const bytes = sample(regionBytes, 0, random(SEED))
    instance.memory.set(bytes, instance.a)
    const length = instance.compress(instance.a, regionBytes, instance.b, compressBound(regionBytes))
    assert.ok(length >= regionBytes)
    instance.memory.fill(0, instance.a, instance.b)
    assert.equal(instance.decompress(instance.b, length, instance.a, regionBytes), regionBytes)
    assert.deepEqual(Buffer.from(instance.memory.subarray(instance.a, instance.a + regionBytes)), Buffer.from(bytes))
  }
})

test('the arena gives pieces that do not overlap, and takes them back in any order', () => {
  const instance = new Kernels(4096, 10_000)
  const size = 10_000 - 10_000 % 64
  const begin = instance.takeArena(1)
  instance.giveArena(begin)
  assert.ok(begin >= instance.b + compressBound(4096))
  const pieces = [1000, 2000, 3000].map(bytes => instance.takeArena(bytes))
  assert.deepEqual(pieces, [begin, begin + 1024, begin + 1024 + 2048])
  instance.giveArena(pieces[1]!)
  assert.equal(instance.takeArena(1025), begin + 1024)
  assert.equal(instance.takeArena(instance.memory.length), -1)
  assert.ok(instance.takeArena(size - 1024 - 2048 - 3008) > pieces[2]!)
  assert.throws(() => instance.giveArena(begin + 64), RangeError)
})

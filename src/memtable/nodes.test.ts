import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arena, H_NODES, H_ROOT } from './arena.ts'
import {
  END, NODE256, NODE_BLOCKS, NODE_CHILDREN, addChild, byteAt, childAt, childSlot, createNode, growthWords, isTerminal, nextPlace,
  nodeDepth, previousPlace, seekPlace, setTerminal,
} from './nodes.ts'
import { dirtyBuffer, randomSource } from './testing/model.ts'

function shuffledBytes(seed: number): number[] {
  const random = randomSource(seed)
  const bytes = Array.from({ length: 256 }, (_, i) => i)
  for (let i = 255; i > 0; i--) {
    const j = random(i + 1)
    ;[bytes[i], bytes[j]] = [bytes[j]!, bytes[i]!]
  }
  return bytes
}

test('a node finds and walks its children in order at every size, over dirty memory', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const arena = new Arena(dirtyBuffer(1 << 16, seed))
    arena.reset()
    const { words, bytes } = arena
    words[H_ROOT] = createNode(arena, 65534, 77, seed % 2 === 0)
    const present: number[] = []
    for (const byte of seed === 1 ? shuffledBytes(seed).sort((a, b) => b - a) : shuffledBytes(seed)) {
      const before: number = words[words[H_ROOT]!]!
      const full = NODE_CHILDREN.includes(present.length)
      assert.equal(growthWords(before), full ? NODE_BLOCKS[(before & 7) + 1] : 0)
      addChild(arena, H_ROOT, byte, byte + 1000)
      present.push(byte)
      present.sort((a, b) => a - b)
      const node: number = words[H_ROOT]!
      const header: number = words[node]!
      assert.equal(nodeDepth(header), 65534)
      assert.equal(isTerminal(header), seed % 2 === 0)
      assert.equal(words[node + 1], 77)
      const forward: number[] = []
      for (let place = -1; (place = nextPlace(words, bytes, node, header, place)) !== END;) {
        assert.equal(childAt(words, bytes, node, header, place), byteAt(words, node, header, place) + 1000)
        forward.push(byteAt(words, node, header, place))
      }
      assert.deepEqual(forward, present)
      const backward: number[] = []
      for (let place = END; (place = previousPlace(words, bytes, node, header, place)) >= 0;) {
        backward.push(byteAt(words, node, header, place))
      }
      assert.deepEqual(backward.reverse(), present)
      for (let probe = 0; probe < 256; probe++) {
        const slot = childSlot(words, bytes, node, header, probe)
        if (present.includes(probe)) assert.equal(words[slot], probe + 1000)
        else assert.equal(slot, 0)
        const place = seekPlace(words, bytes, node, header, probe)
        const expected = present.find((byte) => byte >= probe)
        assert.equal(place === END ? undefined : byteAt(words, node, header, place), expected)
      }
    }
    assert.deepEqual([...words.subarray(H_NODES, H_NODES + 6)], [0, 0, 0, 0, 0, 1])
  }
})

test('an outgrown node is recycled', () => {
  const arena = new Arena(new ArrayBuffer(1 << 16))
  arena.reset()
  arena.words[H_ROOT] = createNode(arena, 0, 9, false)
  for (let byte = 0; byte < 256; byte++) addChild(arena, H_ROOT, byte, ~byte)
  const free = arena.freeWords
  for (let type = 0; type < NODE256; type++) arena.allocate(NODE_BLOCKS[type]!)
  assert.equal(arena.freeWords, free)
})

test('a node becomes terminal without losing depth, count or type', () => {
  const arena = new Arena(new ArrayBuffer(1 << 16))
  arena.reset()
  arena.words[H_ROOT] = createNode(arena, 3, 9, false)
  addChild(arena, H_ROOT, 0, 50)
  addChild(arena, H_ROOT, 255, 51)
  const node = arena.words[H_ROOT]!
  const before = arena.words[node]!
  setTerminal(arena.words, node, 12)
  assert.equal(isTerminal(arena.words[node]!), true)
  assert.equal(arena.words[node]! - 8, before)
  assert.equal(arena.words[node + 1], 12)
})

/**
 * The adaptive radix tree: from a key to its leaf.
 *
 *   leaf word 0   newest version (see version.ts), 0 right after creation
 *   leaf word 1   key length
 *   leaf word 2   the key's bytes, padded to a word
 *
 * Invariants
 * 1. Leaves are never moved or freed before the next reset, so nodes may borrow their prefix from one.
 * 2. A key that is a prefix of others is the terminal entry of the node where it ends.
 * 3. `insertKey` reserves all the space it may need before it changes anything.
 *
 * Cost: one step per node, at most one node per key byte, and one comparison of the key, with the leaf. Inserting also compares
 * skipped bytes, to know where to split.
 */
import { copyBytes } from '../base/bytes.ts'
import { type Arena, H_ROOT } from './arena.ts'
import { NODE_BLOCKS, NODE4, addChild, childSlot, createNode, growthWords, isTerminal, nodeDepth, setTerminal } from './nodes.ts'

const LEAF_HEAD = 2
export const MAX_KEY_BYTES = 65535

export function leafWords(keyLength: number): number { return LEAF_HEAD + ((keyLength + 3) >>> 2) }
export function leafKeyStart(leaf: number): number { return (leaf + LEAF_HEAD) << 2 }
export function leafKeyLength(words: Int32Array, leaf: number): number { return words[leaf + 1]! }

/** The leaf of a key, or 0. */
export function findLeaf(words: Int32Array, bytes: Uint8Array, key: Uint8Array, keyStart: number, keyEnd: number): number {
  const length = keyEnd - keyStart
  // Leading bytes that match because no node skipped any.
  let matched = 0
  let pointer = words[H_ROOT]!
  let leaf = 0
  for (;;) {
    if (pointer <= 0) {
      if (pointer === 0) return 0
      leaf = ~pointer
      break
    }
    const header = words[pointer]!
    const depth = header >>> 13
    if (length <= depth) {
      // Only a terminal leaf has that length; others fail the comparison below.
      leaf = words[pointer + 1]!
      break
    }
    const slot = childSlot(words, bytes, pointer, header, key[keyStart + depth]!)
    if (slot === 0) return 0
    if (depth === matched) matched++
    pointer = words[slot]!
  }
  if (words[leaf + 1] !== length) return 0
  const at = (leaf + LEAF_HEAD) << 2
  for (let i = matched; i < length; i++) if (bytes[at + i] !== key[keyStart + i]) return 0
  return leaf
}

/** The leaf of a key, created if new, with space for `versionWords` more. Throws when full, and changes nothing. */
export function insertKey(arena: Arena, key: Uint8Array, keyStart: number, keyEnd: number, versionWords: number): number {
  const { words, bytes } = arena
  const length = keyEnd - keyStart
  let slot = H_ROOT
  let matched = 0
  let pointer = words[slot]!
  while (pointer > 0) {
    const header = words[pointer]!
    const depth = nodeDepth(header)
    if (matched < depth) {
      const limit = length < depth ? length : depth
      const at = (words[pointer + 1]! + LEAF_HEAD) << 2
      while (matched < limit && bytes[at + matched] === key[keyStart + matched]) matched++
      if (matched < depth) return split(arena, slot, pointer, bytes[at + matched]!, matched, key, keyStart, keyEnd, versionWords)
    }
    if (length === depth) {
      if (isTerminal(header)) return words[pointer + 1]!
      arena.require(leafWords(length) + versionWords)
      const leaf = createLeaf(arena, key, keyStart, keyEnd)
      setTerminal(words, pointer, leaf)
      return leaf
    }
    const byte = key[keyStart + depth]!
    const next = childSlot(words, bytes, pointer, header, byte)
    if (next === 0) {
      arena.require(leafWords(length) + versionWords + growthWords(header))
      const leaf = createLeaf(arena, key, keyStart, keyEnd)
      addChild(arena, slot, byte, ~leaf)
      return leaf
    }
    matched++
    slot = next
    pointer = words[slot]!
  }
  if (pointer === 0) {
    arena.require(leafWords(length) + versionWords)
    const leaf = createLeaf(arena, key, keyStart, keyEnd)
    words[slot] = ~leaf
    return leaf
  }
  const leaf = ~pointer
  const leafLength = words[leaf + 1]!
  const limit = length < leafLength ? length : leafLength
  const at = (leaf + LEAF_HEAD) << 2
  while (matched < limit && bytes[at + matched] === key[keyStart + matched]) matched++
  if (matched === length && length === leafLength) return leaf
  return split(arena, slot, pointer, matched < leafLength ? bytes[at + matched]! : -1, matched, key, keyStart, keyEnd, versionWords)
}

/** Insert a node above `pointer` where the key leaves its path. `byte` is the path's byte there, -1 if the path is a leaf that ends. */
function split(
  arena: Arena, slot: number, pointer: number, byte: number, depth: number,
  key: Uint8Array, keyStart: number, keyEnd: number, versionWords: number,
): number {
  const words = arena.words
  const length = keyEnd - keyStart
  arena.require(leafWords(length) + versionWords + NODE_BLOCKS[NODE4]!)
  const leaf = createLeaf(arena, key, keyStart, keyEnd)
  const pathEnds = byte < 0
  const keyEnds = depth === length
  words[slot] = createNode(arena, depth, pathEnds ? ~pointer : leaf, pathEnds || keyEnds)
  if (!pathEnds) addChild(arena, slot, byte, pointer)
  if (!keyEnds) addChild(arena, slot, key[keyStart + depth]!, ~leaf)
  return leaf
}

function createLeaf(arena: Arena, key: Uint8Array, keyStart: number, keyEnd: number): number {
  const length = keyEnd - keyStart
  const leaf = arena.allocateForever(leafWords(length))
  arena.words[leaf] = 0
  arena.words[leaf + 1] = length
  copyBytes(key, keyStart, keyEnd, arena.bytes, leafKeyStart(leaf))
  return leaf
}

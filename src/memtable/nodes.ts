/**
 * Inner nodes of the radix tree: layout, children, stepping in key order.
 *
 * A pointer is one word: 0 = nothing, positive = word index of a node, negative = ~(word index of a leaf).
 *
 *   word 0   depth << 13 | count << 4 | terminal << 3 | type
 *   word 1   a leaf below this node: its first `depth` bytes are the prefix that all keys here share.
 *            When `terminal` is set it is the entry whose key ends exactly here.
 *   types 4, 8, 16, 32    count sorted key bytes, four a word (the first in the lowest bits), then the children
 *   type 48               256 bytes, key byte -> 1 + child's place (0 = none), then the children in order of arrival
 *   type 256              256 children
 *
 * Words: 7, 12, 22, 42, 114, 258 (a block of 272).
 *
 * Invariants
 * 1. `depth` is the index of the key byte that chooses the child; it grows strictly on the way down.
 * 2. A node has at least two entries below it, hence at least one child.
 * 3. Key bytes and children past `count` in small types are garbage; a match there is no match.
 *
 * Cost: small nodes compare four key bytes a step; a full node moves to the next type.
 */
import { type Arena, H_NODES, blockWords } from './arena.ts'

export const NODE4 = 0
export const NODE32 = 3
export const NODE48 = 4
export const NODE256 = 5

const TERMINAL = 8
const COUNT_ONE = 16
/** Words before the key bytes. */
const HEAD = 2
const INDEX_WORDS = 64
/** The place after the last child. */
export const END = 256

/** Block size and maximum children, by type. */
export const NODE_BLOCKS: readonly number[] = [7, 12, 22, 42, HEAD + INDEX_WORDS + 48, blockWords(HEAD + 256)]
export const NODE_CHILDREN: readonly number[] = [4, 8, 16, 32, 48, 256]
/** Maximum words of growing one node. */
export const MAX_NODE_WORDS: number = NODE_BLOCKS[NODE256]!

export function nodeDepth(header: number): number { return header >>> 13 }
export function isTerminal(header: number): boolean { return (header & TERMINAL) !== 0 }
function nodeCount(header: number): number { return (header >>> 4) & 511 }

/** Index of the word that points to the child for `byte`; 0: none. */
export function childSlot(words: Int32Array, bytes: Uint8Array, node: number, header: number, byte: number): number {
  const type = header & 7
  if (type <= NODE32) {
    const keyWords = 1 << type
    const keys = node + HEAD
    const pattern = Math.imul(byte, 0x01010101)
    for (let k = 0; k < keyWords; k++) {
      const difference = words[keys + k]! ^ pattern
      // Higher marks may be false, but the lowest is exact.
      const zeros = (difference - 0x01010101) & ~difference & 0x80808080
      if (zeros !== 0) {
        const place = (k << 2) + ((31 - Math.clz32(zeros & -zeros)) >>> 3)
        return place < ((header >>> 4) & 511) ? keys + keyWords + place : 0
      }
    }
    return 0
  }
  if (type === NODE256) {
    const slot = node + HEAD + byte
    return words[slot] === 0 ? 0 : slot
  }
  const place = bytes[((node + HEAD) << 2) + byte]!
  return place === 0 ? 0 : node + (HEAD + INDEX_WORDS - 1) + place
}

/** A node without children. `leaf` is any leaf below it; with `terminal` the one whose key ends here. */
export function createNode(arena: Arena, depth: number, leaf: number, terminal: boolean): number {
  const words = arena.words
  const node = arena.allocate(NODE_BLOCKS[NODE4]!)
  words[node] = (depth << 13) | (terminal ? TERMINAL : 0) | NODE4
  words[node + 1] = leaf
  words[H_NODES + NODE4] = words[H_NODES + NODE4]! + 1
  return node
}

/** The key of `leaf` ends at this node. */
export function setTerminal(words: Int32Array, node: number, leaf: number): void {
  words[node] = words[node]! | TERMINAL
  words[node + 1] = leaf
}

/** Block size of the node to allocate before adding a child; 0: there is space. */
export function growthWords(header: number): number {
  const type = header & 7
  return nodeCount(header) < NODE_CHILDREN[type]! ? 0 : NODE_BLOCKS[type + 1]!
}

/** Add a child for a byte without one. `slot` is the word that points to the node, rewritten when the node moves. */
export function addChild(arena: Arena, slot: number, byte: number, child: number): void {
  const words = arena.words
  let node = words[slot]!
  let header = words[node]!
  if (nodeCount(header) === NODE_CHILDREN[header & 7]!) {
    node = grow(arena, node, header)
    header = words[node]!
    words[slot] = node
  }
  const type = header & 7
  const count = nodeCount(header)
  words[node] = header + COUNT_ONE
  if (type === NODE256) {
    words[node + HEAD + byte] = child
  } else if (type === NODE48) {
    arena.bytes[((node + HEAD) << 2) + byte] = count + 1
    words[node + HEAD + INDEX_WORDS + count] = child
  } else {
    insertSorted(words, node + HEAD, 1 << type, count, byte, child)
  }
}

function insertSorted(words: Int32Array, keys: number, keyWords: number, count: number, byte: number, child: number): void {
  const place = lowerPlace(words, keys, count, byte)
  const children = keys + keyWords
  for (let i = children + count; i > children + place; i--) words[i] = words[i - 1]!
  words[children + place] = child
  const target = keys + (place >>> 2)
  for (let k = keys + (count >>> 2); k > target; k--) words[k] = (words[k]! << 8) | (words[k - 1]! >>> 24)
  const shift = (place & 3) << 3
  const word = words[target]!
  const below = (1 << shift) - 1
  words[target] = (word & below) | (byte << shift) | ((word & ~below) << 8)
}

/** Number of sorted key bytes smaller than `byte`. */
function lowerPlace(words: Int32Array, keys: number, count: number, byte: number): number {
  let place = 0
  while (place < count && ((words[keys + (place >>> 2)]! >>> ((place & 3) << 3)) & 255) < byte) place++
  return place
}

/** Move a full node to the next type and release the old one. */
function grow(arena: Arena, node: number, header: number): number {
  const { words, bytes } = arena
  const type = header & 7
  const count = nodeCount(header)
  const grown = arena.allocate(NODE_BLOCKS[type + 1]!)
  words[grown] = header + 1
  words[grown + 1] = words[node + 1]!
  const from = node + HEAD
  const to = grown + HEAD
  if (type < NODE32) {
    const keyWords = 1 << type
    for (let k = 0; k < keyWords; k++) words[to + k] = words[from + k]!
    for (let i = 0; i < count; i++) words[to + keyWords * 2 + i] = words[from + keyWords + i]!
  } else if (type === NODE32) {
    words.fill(0, to, to + INDEX_WORDS)
    for (let i = 0; i < count; i++) {
      bytes[(to << 2) + ((words[from + (i >>> 2)]! >>> ((i & 3) << 3)) & 255)] = i + 1
      words[to + INDEX_WORDS + i] = words[from + 8 + i]!
    }
  } else {
    for (let byte = 0; byte < 256; byte++) {
      const place = bytes[(from << 2) + byte]!
      words[to + byte] = place === 0 ? 0 : words[from + INDEX_WORDS - 1 + place]!
    }
  }
  arena.release(node, NODE_BLOCKS[type]!)
  words[H_NODES + type] = words[H_NODES + type]! - 1
  words[H_NODES + type + 1] = words[H_NODES + type + 1]! + 1
  return grown
}

// Places are positions of a cursor in a node: in small types the index of a child, in large ones its key byte; -1 is before the
// first child (at the terminal entry), END after the last.

/** The pointer at a place. */
export function childAt(words: Int32Array, bytes: Uint8Array, node: number, header: number, place: number): number {
  const type = header & 7
  if (type <= NODE32) return words[node + HEAD + (1 << type) + place]!
  if (type === NODE256) return words[node + HEAD + place]!
  return words[node + (HEAD + INDEX_WORDS - 1) + bytes[((node + HEAD) << 2) + place]!]!
}

/** The key byte of a place. */
export function byteAt(words: Int32Array, node: number, header: number, place: number): number {
  if ((header & 7) > NODE32) return place
  return (words[node + HEAD + (place >>> 2)]! >>> ((place & 3) << 3)) & 255
}

/** The first place after `place` (-1 for the first of all), or END. */
export function nextPlace(words: Int32Array, bytes: Uint8Array, node: number, header: number, place: number): number {
  const type = header & 7
  place++
  if (type <= NODE32) return place < ((header >>> 4) & 511) ? place : END
  if (type === NODE256) {
    while (place < END && words[node + HEAD + place] === 0) place++
  } else {
    const index = (node + HEAD) << 2
    while (place < END && bytes[index + place] === 0) place++
  }
  return place
}

/** The last place before `place` (END for the last of all), or -1. */
export function previousPlace(words: Int32Array, bytes: Uint8Array, node: number, header: number, place: number): number {
  const type = header & 7
  if (type <= NODE32) {
    const count = (header >>> 4) & 511
    return (place < count ? place : count) - 1
  }
  place--
  if (type === NODE256) {
    while (place >= 0 && words[node + HEAD + place] === 0) place--
  } else {
    const index = (node + HEAD) << 2
    while (place >= 0 && bytes[index + place] === 0) place--
  }
  return place
}

/** The first place whose key byte is >= `byte`, or END. */
export function seekPlace(words: Int32Array, bytes: Uint8Array, node: number, header: number, byte: number): number {
  if ((header & 7) > NODE32) return nextPlace(words, bytes, node, header, byte - 1)
  const count = nodeCount(header)
  const place = lowerPlace(words, node + HEAD, count, byte)
  return place < count ? place : END
}

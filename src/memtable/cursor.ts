/**
 * A cursor over every version in a memtable, in order, both ways (base/cursor.ts).
 *
 * The path from the root is a stack of (node, place) pairs; key and value are views of the arena. A write invalidates it.
 *
 * Cost: no allocation per entry. The stack grows with the depth of the tree, and going backwards with the longest chain of
 * versions, which is linked from new to old only.
 */
import type { Cursor } from '../base/cursor.ts'
import { KIND_DELETE } from '../base/cursor.ts'
import { type Arena, H_ROOT } from './arena.ts'
import { leafKeyLength, leafKeyStart } from './art.ts'
import { END, byteAt, childAt, isTerminal, nextPlace, nodeDepth, previousPlace, seekPlace } from './nodes.ts'
import { olderVersion, versionHead, versionKind, versionLength, versionSeq } from './version.ts'

export class MemtableCursor implements Cursor {
  valid = false
  key: Uint8Array
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind: number = KIND_DELETE
  value: Uint8Array
  valueStart = 0
  valueEnd = 0
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  /** Pairs: node, place. */
  #path = new Int32Array(64)
  /** Words of #path in use. */
  #top = 0
  #leaf = 0
  #version = 0
  /** Going backwards: versions newer than the current one, newest first. */
  #newer = new Int32Array(16)
  /** Entries left in #newer; -1 = not listed. */
  #newerCount = -1

  constructor(arena: Arena) {
    this.#words = arena.words
    this.#bytes = arena.bytes
    this.key = arena.bytes
    this.value = arena.bytes
  }

  seekToFirst(): void {
    this.#top = 0
    this.#enterFirst(this.#words[H_ROOT]!)
  }

  seekToLast(): void {
    this.#top = 0
    this.#enterLast(this.#words[H_ROOT]!)
  }

  seek(key: Uint8Array, start: number, end: number): void {
    const words = this.#words
    const bytes = this.#bytes
    const length = end - start
    this.#top = 0
    let matched = 0
    let pointer = words[H_ROOT]!
    while (pointer > 0) {
      const header = words[pointer]!
      const depth = nodeDepth(header)
      const at = leafKeyStart(words[pointer + 1]!)
      const limit = length < depth ? length : depth
      while (matched < limit && bytes[at + matched] === key[start + matched]) matched++
      // Everything below starts with the same `depth` bytes, so one comparison places the whole subtree.
      if (matched < limit && bytes[at + matched]! < key[start + matched]!) return this.#leaveForward()
      if (matched < depth || length === depth) return this.#enterFirst(pointer)
      const byte = key[start + depth]!
      const place = seekPlace(words, bytes, pointer, header, byte)
      if (place === END) return this.#leaveForward()
      this.#push(pointer, place)
      pointer = childAt(words, bytes, pointer, header, place)
      if (byteAt(words, this.#path[this.#top - 2]!, header, place) !== byte) return this.#enterFirst(pointer)
      matched++
    }
    if (pointer === 0) return this.#end()
    const leaf = ~pointer
    const at = leafKeyStart(leaf)
    const leafLength = leafKeyLength(words, leaf)
    const limit = length < leafLength ? length : leafLength
    while (matched < limit && bytes[at + matched] === key[start + matched]) matched++
    const smaller = matched < limit ? bytes[at + matched]! < key[start + matched]! : leafLength < length
    if (smaller) this.#leaveForward()
    else this.#newest(leaf)
  }

  seekBefore(key: Uint8Array, start: number, end: number): void {
    this.seek(key, start, end)
    if (this.valid) this.prev()
    else this.seekToLast()
  }

  next(): void {
    if (!this.valid) return
    const older = olderVersion(this.#words, this.#version)
    if (older === 0) {
      this.#leaveForward()
    } else {
      this.#newerCount = -1
      this.#load(older)
    }
  }

  prev(): void {
    if (!this.valid) return
    if (this.#newerCount < 0) this.#listNewer(this.#version)
    if (this.#newerCount === 0) this.#leaveBackward()
    else this.#load(this.#newer[--this.#newerCount]!)
  }

  /** To the first leaf at or below a pointer. */
  #enterFirst(pointer: number): void {
    const words = this.#words
    while (pointer > 0) {
      const header = words[pointer]!
      if (isTerminal(header)) {
        this.#push(pointer, -1)
        return this.#newest(words[pointer + 1]!)
      }
      const place = nextPlace(words, this.#bytes, pointer, header, -1)
      this.#push(pointer, place)
      pointer = childAt(words, this.#bytes, pointer, header, place)
    }
    if (pointer === 0) this.#end()
    else this.#newest(~pointer)
  }

  /** To the last leaf at or below a pointer. */
  #enterLast(pointer: number): void {
    const words = this.#words
    while (pointer > 0) {
      const header = words[pointer]!
      const place = previousPlace(words, this.#bytes, pointer, header, END)
      this.#push(pointer, place)
      pointer = childAt(words, this.#bytes, pointer, header, place)
    }
    if (pointer === 0) this.#end()
    else this.#oldest(~pointer)
  }

  /** To the first leaf after the top of the path. */
  #leaveForward(): void {
    const words = this.#words
    const bytes = this.#bytes
    const path = this.#path
    while (this.#top > 0) {
      const node = path[this.#top - 2]!
      const header = words[node]!
      const place = nextPlace(words, bytes, node, header, path[this.#top - 1]!)
      if (place !== END) {
        path[this.#top - 1] = place
        const pointer = childAt(words, bytes, node, header, place)
        if (pointer < 0) this.#newest(~pointer)
        else this.#enterFirst(pointer)
        return
      }
      this.#top -= 2
    }
    this.#end()
  }

  /** To the last leaf before the top of the path. */
  #leaveBackward(): void {
    const words = this.#words
    const bytes = this.#bytes
    const path = this.#path
    while (this.#top > 0) {
      const node = path[this.#top - 2]!
      const current = path[this.#top - 1]!
      if (current >= 0) {
        const header = words[node]!
        const place = previousPlace(words, bytes, node, header, current)
        path[this.#top - 1] = place
        if (place >= 0) return this.#enterLast(childAt(words, bytes, node, header, place))
        if (isTerminal(header)) return this.#oldest(words[node + 1]!)
      }
      this.#top -= 2
    }
    this.#end()
  }

  #push(node: number, place: number): void {
    if (this.#top === this.#path.length) this.#path = doubled(this.#path)
    this.#path[this.#top] = node
    this.#path[this.#top + 1] = place
    this.#top += 2
  }

  #newest(leaf: number): void {
    this.#setLeaf(leaf)
    this.#newerCount = 0
    this.#load(this.#words[leaf]!)
  }

  #oldest(leaf: number): void {
    this.#setLeaf(leaf)
    this.#listNewer(0)
    this.#load(this.#newer[--this.#newerCount]!)
  }

  /** List this key's versions from the newest down to, not including, `until`. */
  #listNewer(until: number): void {
    const words = this.#words
    let count = 0
    for (let version = words[this.#leaf]!; version !== until; version = olderVersion(words, version)) {
      if (count === this.#newer.length) this.#newer = doubled(this.#newer)
      this.#newer[count++] = version
    }
    this.#newerCount = count
  }

  #setLeaf(leaf: number): void {
    this.#leaf = leaf
    this.keyStart = leafKeyStart(leaf)
    this.keyEnd = this.keyStart + leafKeyLength(this.#words, leaf)
  }

  #load(version: number): void {
    const words = this.#words
    const info = words[version + 1]!
    this.#version = version
    this.seq = versionSeq(words, version)
    this.kind = versionKind(info)
    this.valueStart = (version + versionHead(info)) << 2
    this.valueEnd = this.valueStart + versionLength(info)
    this.valid = true
  }

  #end(): void {
    this.valid = false
  }
}

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}

/**
 * Range tombstones: a linked list in the arena, newest first.
 *
 *   words   next, seq low, seq high, start length, end length; then the bytes of start and end, each padded to a word
 *
 * Cost: 20 bytes and the two keys.
 */
import { compareBytes } from '../base/bytes.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { type Arena, H_RANGE_HEAD } from './arena.ts'
import { TWO_32 } from './version.ts'

const HEAD = 5

export function rangeWords(startLength: number, endLength: number): number {
  return HEAD + Math.ceil(startLength / 4) + Math.ceil(endLength / 4)
}

/** Throws when the arena is full, and changes nothing. */
export function writeRange(arena: Arena, start: Uint8Array, end: Uint8Array, seq: number): void {
  const { words, bytes } = arena
  const at = arena.allocateForever(rangeWords(start.length, end.length))
  words[at] = words[H_RANGE_HEAD]!
  words[at + 1] = seq
  words[at + 2] = Math.floor(seq / TWO_32)
  words[at + 3] = start.length
  words[at + 4] = end.length
  bytes.set(start, (at + HEAD) * 4)
  bytes.set(end, (at + HEAD + ((start.length + 3) >>> 2)) * 4)
  words[H_RANGE_HEAD] = at
}

export function readRanges(arena: Arena): RangeTombstone[] {
  const { words, bytes } = arena
  const ranges: RangeTombstone[] = []
  for (let at = words[H_RANGE_HEAD]!; at !== 0; at = words[at]!) {
    const startLength = words[at + 3]!
    const startAt = (at + HEAD) * 4
    const endAt = (at + HEAD + ((startLength + 3) >>> 2)) * 4
    ranges.push({
      start: Uint8Array.from(bytes.subarray(startAt, startAt + startLength)),
      end: Uint8Array.from(bytes.subarray(endAt, endAt + words[at + 4]!)),
      seq: words[at + 2]! * TWO_32 + (words[at + 1]! >>> 0),
    })
  }
  return ranges
}

/** Largest seq <= `snapshotSeq` of the `count` newest that cover key[start, end); 0 if none. No allocation. */
export function newestCovering(arena: Arena, count: number, key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
  const { words, bytes } = arena
  for (let at = words[H_RANGE_HEAD]!; at !== 0 && count > 0; at = words[at]!, count--) {
    const seq = words[at + 2]! * TWO_32 + (words[at + 1]! >>> 0)
    if (seq > snapshotSeq) continue
    const startLength = words[at + 3]!
    const startAt = (at + HEAD) * 4
    if (compareBytes(bytes, startAt, startAt + startLength, key, start, end) > 0) continue
    const endAt = (at + HEAD + ((startLength + 3) >>> 2)) * 4
    // Newest first, so the first match is the newest.
    if (compareBytes(key, start, end, bytes, endAt, endAt + words[at + 4]!) < 0) return seq
  }
  return 0
}

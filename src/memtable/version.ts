/**
 * One version of a key, and the chain from the newest to the oldest.
 *
 *   word 0   low 32 bits of the sequence number
 *   word 1   value length (28 bits) | kind << 28 (2 bits) | OLDER (bit 30) | WIDE (bit 31)
 *   [OLDER]  word index of the next older version
 *   [WIDE]   high 21 bits of the sequence number; absent when they are those of the header's H_SEQ_HIGH
 *   value    padded to a word
 *
 * Invariants
 * 1. Sequence numbers decrease along the chain.
 * 2. The size of a record follows from word 1 alone.
 *
 * Cost: 8 bytes a version, 12 with an older one, 4 more beyond 2^32 sequence numbers.
 */
import { H_SEQ_HIGH, blockWords } from './arena.ts'

export const MAX_VALUE_BYTES: number = 2 ** 28 - 1
export const OLDER: number = 1 << 30
export const WIDE: number = 1 << 31
export const TWO_32: number = 2 ** 32
/** Maximum header words. */
export const MAX_VERSION_HEAD = 4

export function versionKind(info: number): number { return (info >>> 28) & 3 }
export function versionLength(info: number): number { return info & MAX_VALUE_BYTES }

/** Words before the value. */
export function versionHead(info: number): number { return 2 + ((info >>> 30) & 1) + (info >>> 31) }

/** Block size of a version. */
export function versionWords(info: number): number { return blockWords(versionHead(info) + (((info & MAX_VALUE_BYTES) + 3) >>> 2)) }

/** The next older version, or 0. */
export function olderVersion(words: Int32Array, version: number): number {
  return (words[version + 1]! & OLDER) === 0 ? 0 : words[version + 2]!
}

export function versionSeq(words: Int32Array, version: number): number {
  const info = words[version + 1]!
  const high = info < 0 ? words[version + 2 + ((info >>> 30) & 1)]! : words[H_SEQ_HIGH]!
  return high * TWO_32 + (words[version]! >>> 0)
}

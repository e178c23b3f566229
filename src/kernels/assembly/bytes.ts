/** Compares, copies and hashes keys in steps of up to 16 bytes: callers leave that much space behind them. */

export const ROOM: usize = 16

/** The first eight bytes as a number in key order, zero-padded. */
// @ts-ignore: decorator
@inline
export function wordAt(at: usize, length: usize): u64 {
  const word = bswap<u64>(load<u64>(at))
  if (length >= 8) return word
  return length == 0 ? 0 : word & (~(<u64>0) << (64 - (<u64>length << 3)))
}

/** Bytes in common, at most `limit`. */
// @ts-ignore: decorator
@inline
export function sharedBytes(a: usize, b: usize, limit: usize): usize {
  let at: usize = 0
  while (at < limit) {
    const difference = load<u64>(a + at) ^ load<u64>(b + at)
    if (difference != 0) {
      const shared = at + <usize>(ctz(difference) >> 3)
      return shared < limit ? shared : limit
    }
    at += 8
  }
  return limit
}

/** Unsigned order, a prefix before its extensions. */
// @ts-ignore: decorator
@inline
export function compareKeys(a: usize, aLength: usize, b: usize, bLength: usize): i32 {
  const limit = min(aLength, bLength)
  const shared = sharedBytes(a, b, limit)
  if (shared < limit) return <i32>load<u8>(a + shared) - <i32>load<u8>(b + shared)
  return <i32>aLength - <i32>bLength
}

/** Copies up to 15 bytes more than `length`. */
// @ts-ignore: decorator
@inline
export function copyWide(to: usize, from: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) v128.store(to + i, v128.load(from + i))
}

/** `hashKey` of hash.ts. */
export function hashKey(at: usize, length: usize): u32 {
  let hash: u32 = <u32>length ^ 0x9747b28c
  const end = at + length
  for (; at + 4 <= end; at += 4) {
    hash ^= rotl<u32>(load<u32>(at) * 0xcc9e2d51, 15) * 0x1b873593
    hash = rotl<u32>(hash, 13) * 5 + 0xe6546b64
  }
  if (at < end) {
    let word: u32 = 0
    for (let shift: u32 = 0; at < end; at++, shift += 8) word |= <u32>load<u8>(at) << shift
    hash ^= rotl<u32>(word * 0xcc9e2d51, 15) * 0x1b873593
  }
  hash ^= hash >> 16
  hash *= 0x85ebca6b
  hash ^= hash >> 13
  hash *= 0xc2b2ae35
  return hash ^ (hash >> 16)
}

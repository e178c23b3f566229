/**
 * Key hash of 32 bits for filters and in-block hash slots; part of the format. Body and finaliser of 32-bit MurmurHash3. Keys are
 * short: copying them to wasm for a wider hash would cost more than it gains.
 */
export function hashKey(bytes: Uint8Array, start: number, end: number): number {
  let hash = (end - start) ^ 0x9747b28c
  let i = start
  for (; i + 4 <= end; i += 4) {
    let word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    word = Math.imul(word, 0xcc9e2d51)
    word = (word << 15) | (word >>> 17)
    hash ^= Math.imul(word, 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  if (i < end) {
    let word = 0
    for (let shift = 0; i < end; i++, shift += 8) word |= bytes[i]! << shift
    word = Math.imul(word, 0xcc9e2d51)
    word = (word << 15) | (word >>> 17)
    hash ^= Math.imul(word, 0x1b873593)
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** XXH64 as published; little-endian, like wasm. */
import { RESULT } from './layout'

const P1: u64 = 0x9e3779b185ebca87
const P2: u64 = 0xc2b2ae3d27d4eb4f
const P3: u64 = 0x165667b19e3779f9
const P4: u64 = 0x85ebca77c2b2ae63
const P5: u64 = 0x27d4eb2f165667c5

// @ts-ignore: decorator
@inline
function round(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * P2, 31) * P1
}

// @ts-ignore: decorator
@inline
function merge(accumulator: u64, lane: u64): u64 {
  return (accumulator ^ round(0, lane)) * P1 + P4
}

/** Leaves the hash at RESULT: a 64-bit return value would be a BigInt. */
export function hash(start: usize, length: usize, seedHigh: u32, seedLow: u32): void {
  const seed = (<u64>seedHigh << 32) | <u64>seedLow
  const end = start + length
  let at = start
  let h: u64
  if (length >= 32) {
    const limit = end - 32
    let v1 = seed + P1 + P2
    let v2 = seed + P2
    let v3 = seed
    let v4 = seed - P1
    do {
      v1 = round(v1, load<u64>(at))
      v2 = round(v2, load<u64>(at, 8))
      v3 = round(v3, load<u64>(at, 16))
      v4 = round(v4, load<u64>(at, 24))
      at += 32
    } while (at <= limit)
    h = rotl<u64>(v1, 1) + rotl<u64>(v2, 7) + rotl<u64>(v3, 12) + rotl<u64>(v4, 18)
    h = merge(h, v1)
    h = merge(h, v2)
    h = merge(h, v3)
    h = merge(h, v4)
  } else {
    h = seed + P5
  }
  h += <u64>length
  while (at + 8 <= end) {
    h = rotl<u64>(h ^ round(0, load<u64>(at)), 27) * P1 + P4
    at += 8
  }
  if (at + 4 <= end) {
    h = rotl<u64>(h ^ (<u64>load<u32>(at) * P1), 23) * P2 + P3
    at += 4
  }
  while (at < end) {
    h = rotl<u64>(h ^ (<u64>load<u8>(at) * P5), 11) * P1
    at++
  }
  h = (h ^ (h >> 33)) * P2
  h = (h ^ (h >> 29)) * P3
  store<u64>(RESULT, h ^ (h >> 32))
}

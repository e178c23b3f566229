/**
 * LZ4 block compression: greedy, one candidate per hash slot, skipping faster the longer nothing matches.
 *
 * Invariants
 * 1. Reads stay in [from, from + length), writes in [to, to + capacity).
 * 2. The output depends on the input alone: `epoch` marks slots of earlier calls as stale, so the table is never cleared.
 * 3. The format's end rules hold: the last five bytes are literals, no match starts in the last twelve.
 */
import { TABLE, TABLE_BYTES, TABLE_LOG } from './layout'

const MIN_MATCH: usize = 4
const LAST_LITERALS: usize = 5
const MATCH_START_LIMIT: usize = 12
const MAX_DISTANCE: u32 = 65535
/** After 2^SKIP_LOG misses the search takes steps of two, after as many again of three. */
const SKIP_LOG: u32 = 6

/** Table position of the input's first byte; lower slots are stale. Never 0: that is an empty slot. */
let epoch: u32 = 1

// @ts-ignore: decorator
@inline
function slotOf(word: u64): usize {
  return TABLE + (<usize>(((word << 24) * 889523592379) >> (64 - TABLE_LOG)) << 2)
}

/** Bytes in common; `a`, the later one, does not pass `limit`. */
// @ts-ignore: decorator
@inline
function matchLength(a: usize, b: usize, limit: usize): usize {
  const start = a
  while (a + 8 <= limit) {
    const difference = load<u64>(a) ^ load<u64>(b)
    if (difference != 0) return a - start + <usize>(ctz(difference) >> 3)
    a += 8
    b += 8
  }
  while (a < limit && load<u8>(a) == load<u8>(b)) {
    a++
    b++
  }
  return a - start
}

/** Bytes of a length beyond its four bits in the token. */
// @ts-ignore: decorator
@inline
function extraBytes(length: usize): usize {
  return length < 15 ? 0 : (length - 15) / 255 + 1
}

// @ts-ignore: decorator
@inline
function storeExtra(at: usize, rest: usize): usize {
  while (rest >= 255) {
    store<u8>(at++, 255)
    rest -= 255
  }
  store<u8>(at++, <u8>rest)
  return at
}

// @ts-ignore: decorator
@inline
function compressBlock(from: usize, length: usize, to: usize, capacity: usize, isNearAlways: bool): usize {
  if (epoch > 0xffffffff - <u32>length) {
    memory.fill(TABLE, 0, TABLE_BYTES)
    epoch = 1
  }
  const first = epoch
  // Address + shift = position in the table, modulo 2^32.
  const shift = first - <u32>from
  epoch = first + <u32>length

  const end = from + length
  const limit = to + capacity
  let anchor = from
  let out = to

  if (length > MATCH_START_LIMIT) {
    const lastStart = end - MATCH_START_LIMIT
    const matchEnd = end - LAST_LITERALS
    let at = from
    store<u32>(slotOf(load<u64>(at)), first)
    at++
    while (at <= lastStart) {
      let match: usize = 0
      let misses: u32 = 1 << SKIP_LOG
      while (at <= lastStart) {
        const word = load<u64>(at)
        const slot = slotOf(word)
        const position = <u32>at + shift
        const candidate = load<u32>(slot)
        store<u32>(slot, position)
        // One predictable branch: staleness is as good as random.
        const isNear = i32(candidate >= first) & (isNearAlways ? 1 : i32(position - candidate <= MAX_DISTANCE))
        match = <usize>(select<u32>(candidate, first, isNear) - shift)
        if (isNear & i32(load<u32>(match) == <u32>word)) break
        at += <usize>(misses++ >> SKIP_LOG)
      }
      if (at > lastStart) break
      while (at > anchor && match > from && load<u8>(at - 1) == load<u8>(match - 1)) {
        at--
        match--
      }

      // Each turn writes one sequence; the next may follow without literals.
      while (true) {
        const literals = at - anchor
        const token = out++
        // An offset and the last token with its literals must fit, too.
        if (out + extraBytes(literals) + literals + 2 + 1 + LAST_LITERALS > limit) return 0
        let high: u32
        if (literals >= 15) {
          high = 0xf0
          out = storeExtra(out, literals - 15)
        } else {
          high = <u32>literals << 4
        }
        if (out + literals + 16 <= limit && at + 16 <= end) {
          for (let i: usize = 0; i < literals; i += 16) v128.store(out + i, v128.load(anchor + i))
        } else {
          memory.copy(out, anchor, literals)
        }
        out += literals
        store<u16>(out, <u16>(at - match))
        out += 2

        const extent = matchLength(at + MIN_MATCH, match + MIN_MATCH, matchEnd)
        if (out + extraBytes(extent) + 1 + LAST_LITERALS > limit) return 0
        at += MIN_MATCH + extent
        if (extent >= 15) {
          store<u8>(token, <u8>(high | 15))
          out = storeExtra(out, extent - 15)
        } else {
          store<u8>(token, <u8>(high | <u32>extent))
        }
        anchor = at
        if (at > lastStart) break

        store<u32>(slotOf(load<u64>(at - 2)), <u32>(at - 2) + shift)
        const word = load<u64>(at)
        const slot = slotOf(word)
        const position = <u32>at + shift
        const candidate = load<u32>(slot)
        store<u32>(slot, position)
        const isNear = i32(candidate >= first) & (isNearAlways ? 1 : i32(position - candidate <= MAX_DISTANCE))
        match = <usize>(select<u32>(candidate, first, isNear) - shift)
        if (!(isNear & i32(load<u32>(match) == <u32>word))) break
      }
      at++
    }
  }

  const literals = end - anchor
  if (out + 1 + extraBytes(literals) + literals > limit) return 0
  if (literals >= 15) {
    store<u8>(out++, 0xf0)
    out = storeExtra(out, literals - 15)
  } else {
    store<u8>(out++, <u8>(literals << 4))
  }
  memory.copy(out, anchor, literals)
  return out + literals - to
}

/** Returns the block's length, 0: longer than `capacity`. In a short input every match is near; a separate instance is a third faster. */
export function compress(from: usize, length: usize, to: usize, capacity: usize): usize {
  return length <= <usize>MAX_DISTANCE ? compressBlock(from, length, to, capacity, true) : compressBlock(from, length, to, capacity, false)
}

/**
 * LZ4 block decompression of untrusted bytes.
 *
 * Invariants
 * 1. Reads stay in [from, from + length) and in written output; writes stay in [to, to + capacity).
 * 2. Each turn consumes at least one byte of input.
 */

/** Row d: byte i is i % d, a swizzle that repeats the first d bytes over sixteen. */
const REPEAT = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0,
  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0,
  0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0,
], 16)

/** Row d: the largest multiple of d up to 16, the reach of one repeated store. */
const STRIDE = memory.data<u8>([0, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15])

/** Decompressed length, -1: malformed, or more than `capacity`. */
export function decompress(from: usize, length: usize, to: usize, capacity: usize): i32 {
  const inEnd = from + length
  const outEnd = to + capacity
  let at = from
  let out = to
  while (at < inEnd) {
    const token = <u32>load<u8>(at++)

    let literals = <usize>(token >> 4)
    if (literals < 15 && inEnd - at >= 16 && outEnd - out >= 16) {
      v128.store(out, v128.load(at))
    } else {
      if (literals == 15) {
        let more: usize
        do {
          if (at >= inEnd) return -1
          more = <usize>load<u8>(at++)
          literals += more
          // Checked at each step, so that the sum cannot overflow.
          if (literals > capacity) return -1
        } while (more == 255)
      }
      if (literals > inEnd - at || literals > outEnd - out) return -1
      if (literals + 16 <= inEnd - at && literals + 16 <= outEnd - out) {
        for (let i: usize = 0; i < literals; i += 16) v128.store(out + i, v128.load(at + i))
      } else {
        memory.copy(out, at, literals)
      }
    }
    at += literals
    out += literals
    if (at == inEnd) return <i32>(out - to)

    if (inEnd - at < 2) return -1
    const distance = <usize>load<u16>(at)
    at += 2
    if (distance == 0 || distance > out - to) return -1
    let extent = <usize>(token & 15) + 4
    if (extent < 19 && distance >= 16 && outEnd - out >= 32) {
      const match = out - distance
      v128.store(out, v128.load(match))
      store<u16>(out, load<u16>(match, 16), 16)
      out += extent
      continue
    }
    if (extent == 19) {
      let more: usize
      do {
        if (at >= inEnd) return -1
        more = <usize>load<u8>(at++)
        extent += more
        if (extent > capacity) return -1
      } while (more == 255)
    }
    if (extent > outEnd - out) return -1
    const target = out + extent
    // Wide steps start up to here; single bytes do the rest.
    const wide = min(target - 1, outEnd - 16)
    if (distance >= 16) {
      while (out <= wide) {
        v128.store(out, v128.load(out - distance))
        out += 16
      }
    } else if (out <= wide) {
      // swizzle repeats the first `distance` bytes.
      const pattern = v128.swizzle(v128.load(out - distance), v128.load(REPEAT + (distance << 4)))
      const stride = <usize>load<u8>(STRIDE + distance)
      do {
        v128.store(out, pattern)
        out += stride
      } while (out <= wide)
    }
    while (out < target) {
      store<u8>(out, load<u8>(out - distance))
      out++
    }
    out = target
  }
  return -1
}

/** `encodeFilter` of table/filter/filter.ts. */

// @ts-ignore: decorator
@inline
function remix(mix: u32): u32 {
  mix = (mix ^ (mix >> 16)) * 0x85ebca6b
  return (mix ^ (mix >> 13)) * 0xc2b2ae35
}

// @ts-ignore: decorator
@inline
function setBit(at: usize, bit: u32): void {
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>bit))
}

/** `to`: `lines` lines of 64 zero bytes. */
export function fillFilter(hashes: usize, count: u32, to: usize, lines: u32, probes: u32): void {
  for (let k: u32 = 0; k < count; k++) {
    let mix = load<u32>(hashes + (k << 2))
    const line = to + (<usize>((<u64>mix * <u64>lines) >> 32) << 6)
    for (let i: u32 = 0; i < probes; i += 3) {
      mix = remix(mix)
      setBit(line + (mix >> 26), (mix >> 23) & 7)
      setBit(line + ((mix >> 17) & 63), (mix >> 14) & 7)
      setBit(line + ((mix >> 8) & 63), (mix >> 5) & 7)
    }
  }
}

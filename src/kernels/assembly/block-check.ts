/**
 * `dataBlockProblem` of table/block/data-block.ts, without the reason. Reads only [start, end): header values are compared with the
 * size, in 64 bits, before use.
 */
const HEADER_BYTES: u64 = 24
const FLAG_WIDE: u32 = 1
const FLAG_KINDS: u32 = 16
const MAX_KEY_BYTES: u64 = 65536
const MAX_HASH_SLOTS: u32 = 512
const MAX_HASHED_ENTRIES: u32 = 254
const SLOT_SEVERAL: u32 = 254
const KIND_VALUE_FILE: u32 = 2
const LARGEST_SEQ: u64 = 9007199254740991

export function isSoundBlock(start: usize, end: usize): bool {
  const size = <u64>(end - start)
  if (size < HEADER_BYTES) return false
  const flags = <u32>load<u8>(start, 1)
  const slots = <u32>load<u16>(start, 2)
  const count = load<u32>(start, 4)
  const prefixLength = load<u32>(start, 8)
  const longest = load<u32>(start, 12)
  const minSeq = load<u64>(start, 16)
  const code = (flags >> 1) & 7
  if (flags >= 32 || code > 4 || count == 0 || <u64>prefixLength + <u64>longest > MAX_KEY_BYTES) return false
  if (slots > MAX_HASH_SLOTS || (slots & (slots - 1)) != 0 || (slots > 0 && count > MAX_HASHED_ENTRIES)) return false
  const isWide = (flags & FLAG_WIDE) != 0
  const width: u32 = isWide ? 4 : 2
  const seqWidth: u32 = code == 4 ? 7 : code == 0 ? 0 : 1 << (code - 1)
  const kindCount: u32 = flags & FLAG_KINDS ? count : 0
  const fixed = HEADER_BYTES + <u64>prefixLength + <u64>count * <u64>(2 * width + seqWidth) + <u64>kindCount + <u64>slots
  if (fixed > size) return false

  // From here on all columns lie within the block.
  const keyEnds = start + <usize>HEADER_BYTES + prefixLength
  const valueEnds = keyEnds + count * width
  let keyEnd: u32 = 0
  let valueEnd: u32 = 0
  let found: u32 = 0
  if (isWide) {
    for (let i: u32 = 0; i < count; i++) {
      const nextKey = load<u32>(keyEnds + (i << 2))
      const nextValue = load<u32>(valueEnds + (i << 2))
      if (nextKey < keyEnd || nextValue < valueEnd) return false
      found = max(found, nextKey - keyEnd)
      keyEnd = nextKey
      valueEnd = nextValue
    }
  } else {
    for (let i: u32 = 0; i < count; i++) {
      const nextKey = <u32>load<u16>(keyEnds + (i << 1))
      const nextValue = <u32>load<u16>(valueEnds + (i << 1))
      if (nextKey < keyEnd || nextValue < valueEnd) return false
      found = max(found, nextKey - keyEnd)
      keyEnd = nextKey
      valueEnd = nextValue
    }
  }
  if (found != longest || fixed + <u64>keyEnd + <u64>valueEnd != size) return false

  const seqs = valueEnds + count * width
  if (minSeq < 1 || minSeq > LARGEST_SEQ) return false
  if (code > 0 && (minSeq + 0xffffffff > LARGEST_SEQ || code == 4) && !areSoundDeltas(seqs, count, LARGEST_SEQ - minSeq, code)) return false
  const kinds = seqs + count * seqWidth
  for (let i: u32 = 0; i < kindCount; i++) if (<u32>load<u8>(kinds + i) > KIND_VALUE_FILE) return false
  const slotsAt = kinds + kindCount
  for (let i: u32 = 0; i < slots; i++) {
    const slot = <u32>load<u8>(slotsAt + i)
    if (slot < SLOT_SEVERAL && slot >= count) return false
  }
  return true
}

function areSoundDeltas(at: usize, count: u32, most: u64, code: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    let delta: u64
    if (code == 1) delta = <u64>load<u8>(at + i)
    else if (code == 2) delta = <u64>load<u16>(at + (i << 1))
    else if (code == 3) delta = <u64>load<u32>(at + (i << 2))
    else {
      const from = at + i * 7
      delta = <u64>load<u32>(from) | (<u64>load<u16>(from, 4) << 32) | (<u64>load<u8>(from, 6) << 48)
    }
    if (delta > most) return false
  }
  return true
}

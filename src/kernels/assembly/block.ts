/**
 * The data block being filled: data-block-writer.ts and key-column.ts, byte for byte, on the columns of a merge's state.
 *
 * Invariants
 * 1. `addEntry` gets only entries that fit: keys take twice the block's target size, values once, entries an eighth, each with ROOM
 *    behind it.
 * 2. Encoding writes up to ROOM bytes more than data-block-writer.ts.
 */
import { copyWide } from './bytes'
import {
  ALL_PUTS, COUNT, DISTINCT, ENDS, FIRSTS, FIRST_LENGTH, HASHES, KEYS, KEY_BYTES, KINDS, LAST_KEY, LAST_KEY_LENGTH, LAST_SEQ, MAX_SEQ, MIN_SEQ,
  PREFIX_LENGTH, SEQS, SKIPS, USED, VALUES, VALUE_BYTES, VALUE_ENDS,
} from './merge-layout'

export const HEADER_BYTES: usize = 24
const BLOCK_DATA: u32 = 1
const FLAG_WIDE: u32 = 1
const FLAG_KINDS: u32 = 16
const SLOT_EMPTY: u32 = 255
const SLOT_SEVERAL: u32 = 254
const MAX_HASHED_ENTRIES: u32 = 254
const KIND_PUT: u32 = 1

/** `shared`: bytes in common with the previous key. `isFirst`: another key. */
export function addEntry(
  state: usize, key: usize, keyLength: usize, value: usize, valueLength: usize, seq: f64, kind: u32, shared: usize, isFirst: bool, hash: u32,
): void {
  const i = load<u32>(state, COUNT)
  const skip: usize = i == 0 ? 0 : min(<usize>load<u32>(state, PREFIX_LENGTH), shared)
  const used = load<u32>(state, USED)
  copyWide(load<usize>(state, KEYS) + used, key + skip, keyLength - skip)
  const end = used + <u32>(keyLength - skip)
  store<u32>(state, end, USED)
  store<u32>(load<usize>(state, SKIPS) + (i << 2), <u32>skip)
  store<u32>(load<usize>(state, ENDS) + (i << 2), end)
  if (i == 0) store<u32>(state, <u32>keyLength, FIRST_LENGTH)
  store<u32>(state, <u32>(i == 0 ? keyLength : skip), PREFIX_LENGTH)
  store<u32>(state, load<u32>(state, KEY_BYTES) + <u32>keyLength, KEY_BYTES)

  const valueBytes = load<u32>(state, VALUE_BYTES)
  copyWide(load<usize>(state, VALUES) + valueBytes, value, valueLength)
  store<u32>(state, valueBytes + <u32>valueLength, VALUE_BYTES)
  store<u32>(load<usize>(state, VALUE_ENDS) + (i << 2), valueBytes + <u32>valueLength)

  store<f64>(load<usize>(state, SEQS) + (i << 3), seq)
  store<u8>(load<usize>(state, KINDS) + i, <u8>kind)
  store<u32>(load<usize>(state, HASHES) + (i << 2), hash)
  const first = isFirst || i == 0
  store<u8>(load<usize>(state, FIRSTS) + i, first ? 1 : 0)
  if (first) store<u32>(state, load<u32>(state, DISTINCT) + 1, DISTINCT)
  if (i == 0 || seq < load<f64>(state, MIN_SEQ)) store<f64>(state, seq, MIN_SEQ)
  if (i == 0 || seq > load<f64>(state, MAX_SEQ)) store<f64>(state, seq, MAX_SEQ)
  if (kind != KIND_PUT) store<u32>(state, 0, ALL_PUTS)
  store<u32>(state, i + 1, COUNT)

  copyWide(load<usize>(state, LAST_KEY) + shared, key + shared, keyLength - shared)
  store<u32>(state, <u32>keyLength, LAST_KEY_LENGTH)
  store<f64>(state, seq, LAST_SEQ)
}

export function resetBlock(state: usize): void {
  store<u32>(state, 0, COUNT)
  store<u32>(state, 0, PREFIX_LENGTH)
  store<u32>(state, 0, KEY_BYTES)
  store<u32>(state, 0, USED)
  store<u32>(state, 0, VALUE_BYTES)
  store<u32>(state, 0, DISTINCT)
  store<u32>(state, 1, ALL_PUTS)
}

/** Returns the end. */
export function encodeBlock(state: usize, at: usize): usize {
  const count = load<u32>(state, COUNT)
  const prefixLength = load<u32>(state, PREFIX_LENGTH)
  const valueBytes = load<u32>(state, VALUE_BYTES)
  const suffixBytes = load<u32>(state, KEY_BYTES) - count * prefixLength
  const wide = suffixBytes > 0xffff || valueBytes > 0xffff
  const width: u32 = wide ? 4 : 2
  const minSeq = load<f64>(state, MIN_SEQ)
  const range = load<f64>(state, MAX_SEQ) - minSeq
  const code: u32 = range == 0 ? 0 : range <= 0xff ? 1 : range <= 0xffff ? 2 : range <= 0xffffffff ? 3 : 4
  const seqWidth: u32 = code == 4 ? 7 : code == 0 ? 0 : 1 << (code - 1)
  const slots = slotsFor(count, load<u32>(state, DISTINCT))
  const allPuts = load<u32>(state, ALL_PUTS) != 0

  const keyEnds = at + HEADER_BYTES + prefixLength
  const valueEnds = keyEnds + count * width
  const seqs = valueEnds + count * width
  const kinds = seqs + count * seqWidth
  const slotsAt = kinds + (allPuts ? 0 : count)
  const suffixes = slotsAt + slots
  const values = suffixes + suffixBytes

  const keys = load<usize>(state, KEYS)
  const skipColumn = load<usize>(state, SKIPS)
  const endColumn = load<usize>(state, ENDS)
  const valueEndColumn = load<usize>(state, VALUE_ENDS)
  memory.copy(at + HEADER_BYTES, keys, prefixLength)
  let longest: usize = 0
  let end = suffixes
  let from: usize = 0
  for (let i: u32 = 0; i < count; i++) {
    const start = end
    const to = <usize>load<u32>(endColumn + (i << 2))
    if (i == 0) {
      from = prefixLength
    } else {
      const skip = <usize>load<u32>(skipColumn + (i << 2))
      if (skip > prefixLength) {
        copyWide(end, keys + prefixLength, skip - prefixLength)
        end += skip - prefixLength
      }
    }
    copyWide(end, keys + from, to - from)
    end += to - from
    from = to
    longest = max(longest, end - start)
    if (wide) {
      store<u32>(keyEnds + (i << 2), <u32>(end - suffixes))
      store<u32>(valueEnds + (i << 2), load<u32>(valueEndColumn + (i << 2)))
    } else {
      store<u16>(keyEnds + (i << 1), <u16>(end - suffixes))
      store<u16>(valueEnds + (i << 1), <u16>load<u32>(valueEndColumn + (i << 2)))
    }
  }
  if (code > 0) writeDeltas(seqs, load<usize>(state, SEQS), count, minSeq, code)
  if (!allPuts) memory.copy(kinds, load<usize>(state, KINDS), count)
  if (slots > 0) writeSlots(state, slotsAt, slots, count)
  memory.copy(values, load<usize>(state, VALUES), valueBytes)

  store<u8>(at, <u8>BLOCK_DATA)
  store<u8>(at, <u8>((wide ? FLAG_WIDE : 0) | (code << 1) | (allPuts ? 0 : FLAG_KINDS)), 1)
  store<u16>(at, <u16>slots, 2)
  store<u32>(at, count, 4)
  store<u32>(at, prefixLength, 8)
  store<u32>(at, <u32>longest, 12)
  store<u64>(at, <u64>minSeq, 16)
  return values + valueBytes
}

function writeDeltas(at: usize, seqs: usize, count: u32, minSeq: f64, code: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const delta = <u64>(load<f64>(seqs + (i << 3)) - minSeq)
    if (code == 1) store<u8>(at + i, <u8>delta)
    else if (code == 2) store<u16>(at + (i << 1), <u16>delta)
    else if (code == 3) store<u32>(at + (i << 2), <u32>delta)
    else {
      const to = at + i * 7
      store<u32>(to, <u32>delta)
      store<u16>(to, <u16>(delta >> 32), 4)
      store<u8>(to, <u8>(delta >> 48), 6)
    }
  }
}

function writeSlots(state: usize, at: usize, slots: u32, count: u32): void {
  const hashes = load<usize>(state, HASHES)
  const firsts = load<usize>(state, FIRSTS)
  memory.fill(at, <u8>SLOT_EMPTY, slots)
  for (let i: u32 = 0; i < count; i++) {
    if (load<u8>(firsts + i) == 0) continue
    const slot = at + (load<u32>(hashes + (i << 2)) & (slots - 1))
    store<u8>(slot, <u8>(load<u8>(slot) == SLOT_EMPTY ? i : SLOT_SEVERAL))
  }
}

function slotsFor(count: u32, distinct: u32): u32 {
  if (count > MAX_HASHED_ENTRIES || distinct < 4) return 0
  let slots: u32 = 8
  while (2 * slots < 3 * distinct) slots *= 2
  return slots
}

/**
 * Inputs of a merge: a checked block, or records written by JavaScript, read one entry at a time into the input's record.
 *
 * A record, on a multiple of 8: sequence number (f64), key length, value length, kind (u32 each), 4 bytes, the key, and on the next
 * multiple of 4 the value.
 */
import { copyWide, wordAt } from './bytes'
import { HEADER_BYTES } from './block'
import {
  I_AT, I_COUNT, I_KEY, I_KEY_ENDS, I_KEY_LENGTH, I_KEY_ROOM, I_KIND, I_KINDS, I_MIN_SEQ, I_NEXT_SUFFIX, I_NEXT_VALUE, I_PREFIX_LENGTH, I_SEQ,
  I_SEQS, I_SEQ_WIDTH, I_SUFFIXES, I_VALUE, I_VALUES, I_VALUE_ENDS, I_VALUE_LENGTH, I_WIDTH, I_WORD,
} from './merge-layout'

const FLAG_WIDE: u32 = 1
const FLAG_KINDS: u32 = 16
const KIND_PUT: u32 = 1
const RECORD_HEADER_BYTES: usize = 24

// @ts-ignore: decorator
@inline
function offsetAt(at: usize, i: u32, width: u32): usize {
  return width == 2 ? <usize>load<u16>(at + (i << 1)) : <usize>load<u32>(at + (i << 2))
}

/** Move to entry `i`; the common prefix is at `keyRoom`, with space for the longest key. */
export function openBlock(input: usize, keyRoom: usize, block: usize, i: u32): void {
  const flags = <u32>load<u8>(block, 1)
  const slots = <u32>load<u16>(block, 2)
  const count = load<u32>(block, 4)
  const prefixLength = load<u32>(block, 8)
  const width: u32 = flags & FLAG_WIDE ? 4 : 2
  const code = (flags >> 1) & 7
  const seqWidth: u32 = code == 4 ? 7 : code == 0 ? 0 : 1 << (code - 1)
  const keyEnds = block + HEADER_BYTES + prefixLength
  const valueEnds = keyEnds + count * width
  const seqs = valueEnds + count * width
  const kinds = seqs + count * seqWidth
  const hasKinds = (flags & FLAG_KINDS) != 0
  const suffixes = kinds + (hasKinds ? <usize>count : 0) + slots
  store<u32>(input, i, I_AT)
  store<u32>(input, count, I_COUNT)
  store<u32>(input, width, I_WIDTH)
  store<usize>(input, keyRoom, I_KEY_ROOM)
  store<u32>(input, prefixLength, I_PREFIX_LENGTH)
  store<usize>(input, keyEnds, I_KEY_ENDS)
  store<usize>(input, valueEnds, I_VALUE_ENDS)
  store<usize>(input, seqs, I_SEQS)
  store<u32>(input, seqWidth, I_SEQ_WIDTH)
  store<usize>(input, hasKinds ? kinds : 0, I_KINDS)
  store<usize>(input, suffixes, I_SUFFIXES)
  store<usize>(input, suffixes + offsetAt(keyEnds, count - 1, width), I_VALUES)
  store<usize>(input, i == 0 ? 0 : offsetAt(keyEnds, i - 1, width), I_NEXT_SUFFIX)
  store<usize>(input, i == 0 ? 0 : offsetAt(valueEnds, i - 1, width), I_NEXT_VALUE)
  store<f64>(input, <f64>load<u64>(block, 16), I_MIN_SEQ)
  showEntry(input)
}

/** Move to the first of `count` records. */
export function openRecords(input: usize, at: usize, count: u32): void {
  store<u32>(input, 0, I_AT)
  store<u32>(input, count, I_COUNT)
  store<u32>(input, 0, I_WIDTH)
  store<usize>(input, at, I_NEXT_SUFFIX)
  showEntry(input)
}

/** Read the entry at I_AT. */
// @ts-ignore: decorator
@inline
export function showEntry(input: usize): void {
  const i = load<u32>(input, I_AT)
  const width = load<u32>(input, I_WIDTH)
  let key: usize
  let keyLength: usize
  if (width == 0) {
    const at = load<usize>(input, I_NEXT_SUFFIX)
    keyLength = <usize>load<u32>(at, 8)
    const valueLength = load<u32>(at, 12)
    key = at + RECORD_HEADER_BYTES
    const value = (key + keyLength + 3) & ~3
    store<f64>(input, load<f64>(at), I_SEQ)
    store<u32>(input, load<u32>(at, 16), I_KIND)
    store<usize>(input, value, I_VALUE)
    store<u32>(input, valueLength, I_VALUE_LENGTH)
    store<usize>(input, (value + valueLength + 7) & ~7, I_NEXT_SUFFIX)
  } else {
    const start = load<usize>(input, I_NEXT_SUFFIX)
    const end = offsetAt(load<usize>(input, I_KEY_ENDS), i, width)
    store<usize>(input, end, I_NEXT_SUFFIX)
    const prefixLength = <usize>load<u32>(input, I_PREFIX_LENGTH)
    key = load<usize>(input, I_SUFFIXES) + start
    keyLength = end - start
    if (prefixLength > 0) {
      const room = load<usize>(input, I_KEY_ROOM)
      copyWide(room + prefixLength, key, keyLength)
      key = room
      keyLength += prefixLength
    }
    const valueStart = load<usize>(input, I_NEXT_VALUE)
    const valueEnd = offsetAt(load<usize>(input, I_VALUE_ENDS), i, width)
    store<usize>(input, valueEnd, I_NEXT_VALUE)
    store<usize>(input, load<usize>(input, I_VALUES) + valueStart, I_VALUE)
    store<u32>(input, <u32>(valueEnd - valueStart), I_VALUE_LENGTH)
    const kinds = load<usize>(input, I_KINDS)
    store<u32>(input, kinds == 0 ? KIND_PUT : <u32>load<u8>(kinds + i), I_KIND)
    const seqs = load<usize>(input, I_SEQS)
    const seqWidth = load<u32>(input, I_SEQ_WIDTH)
    let delta: f64 = 0
    if (seqWidth == 2) delta = <f64>load<u16>(seqs + (i << 1))
    else if (seqWidth == 4) delta = <f64>load<u32>(seqs + (i << 2))
    else if (seqWidth == 1) delta = <f64>load<u8>(seqs + i)
    else if (seqWidth == 7) {
      const at = seqs + i * 7
      delta = <f64>(<u64>load<u32>(at) | (<u64>load<u16>(at, 4) << 32) | (<u64>load<u8>(at, 6) << 48))
    }
    store<f64>(input, load<f64>(input, I_MIN_SEQ) + delta, I_SEQ)
  }
  store<usize>(input, key, I_KEY)
  store<u32>(input, <u32>keyLength, I_KEY_LENGTH)
  store<u64>(input, wordAt(key, keyLength), I_WORD)
}

/**
 * The visible entries of a range as rows: for each key the newest version within the snapshot, unless it is a deletion. The caller
 * applies range tombstones.
 *
 * Invariant: it reads the checked blocks of the inputs and writes only its own areas.
 */
import { compareKeys, copyWide, sharedBytes, wordAt } from './bytes'
import { showEntry } from './input'
import { siftDown } from './merge'
import {
  EVENT_END, EVENT_INPUT, HEAP, HEAP_SIZE, I_AT, I_COUNT, I_KEY, I_KEY_LENGTH, I_KIND, I_SEQ, I_VALUE, I_VALUE_LENGTH, I_WORD,
} from './merge-layout'
import {
  BOUND, BOUND_LENGTH, COST, COUNT, EVENT_BOUND, EVENT_ENTRY, EVENT_FULL, KEYS, KEY_BITS, KEY_BYTES, KEY_EIGHTHS, KEY_ROOM, MAX_ROWS, MAX_TAKEN,
  ROWS, ROW_BYTES, SEEN, SEEN_LENGTH, SNAPSHOT, TAKEN, VALUES, VALUE_BITS, VALUE_BYTES, VALUE_EIGHTHS, VALUE_ROOM,
} from './scan-layout'

const KIND_DELETE: u32 = 0
const KIND_PUT: u32 = 1

/** Copies up to 15 bytes more than `length`; returns bits set in any byte, at least bit 7. */
// @ts-ignore: decorator
@inline
function copySeen(to: usize, from: usize, length: usize): u32 {
  let any = i8x16.splat(0)
  let i: usize = 0
  for (; i + 16 <= length; i += 16) {
    const bytes = v128.load(from + i)
    any = v128.or(any, bytes)
    v128.store(to + i, bytes)
  }
  let bits: u32 = i8x16.bitmask(any) != 0 ? 128 : 0
  if (i < length) {
    const bytes = v128.load(from + i)
    v128.store(to + i, bytes)
    if ((i8x16.bitmask(bytes) & ((1 << (length - i)) - 1)) != 0) bits = 128
  }
  return bits
}

export function scan(state: usize): u32 {
  const heap = load<usize>(state, HEAP)
  const size = load<u32>(state, HEAP_SIZE)
  if (size == 0) return EVENT_END
  const snapshot = load<f64>(state, SNAPSHOT)
  const bound = load<usize>(state, BOUND)
  const boundLength = load<i32>(state, BOUND_LENGTH)
  const boundWord: u64 = boundLength < 0 ? u64.MAX_VALUE : wordAt(bound, boundLength)
  const seen = load<usize>(state, SEEN)
  const mostRows = load<u32>(state, MAX_ROWS)
  const rows = load<usize>(state, ROWS)
  const keys = load<usize>(state, KEYS)
  const keyRoom = load<u32>(state, KEY_ROOM)
  const values = load<usize>(state, VALUES)
  const valueRoom = load<u32>(state, VALUE_ROOM)
  const mostTaken = load<u32>(state, MAX_TAKEN)
  const cost = load<u32>(state, COST)
  const keyEighths = load<u32>(state, KEY_EIGHTHS)
  const valueEighths = load<u32>(state, VALUE_EIGHTHS)
  let seenLength = load<i32>(state, SEEN_LENGTH)
  let count = load<u32>(state, COUNT)
  let keyBytes = load<u32>(state, KEY_BYTES)
  let valueBytes = load<u32>(state, VALUE_BYTES)
  let taken = load<u32>(state, TAKEN)
  let keyBits = load<u32>(state, KEY_BITS)
  let valueBits = load<u32>(state, VALUE_BITS)
  let event = EVENT_END
  let top = load<usize>(heap)
  while (true) {
    const seq = load<f64>(top, I_SEQ)
    if (seq <= snapshot) {
      const key = load<usize>(top, I_KEY)
      const keyLength = load<u32>(top, I_KEY_LENGTH)
      if (<i32>keyLength != seenLength || sharedBytes(seen, key, keyLength) != keyLength) {
        if (boundLength >= 0 && load<u64>(top, I_WORD) >= boundWord && compareKeys(key, keyLength, bound, boundLength) >= 0) {
          event = EVENT_BOUND
          break
        }
        const kind = load<u32>(top, I_KIND)
        if (kind != KIND_DELETE) {
          if (kind != KIND_PUT) {
            event = EVENT_ENTRY
            break
          }
          const valueLength = load<u32>(top, I_VALUE_LENGTH)
          const nextTaken = taken + cost + ((keyLength * keyEighths + valueLength * valueEighths) >> 3)
          if (
            count == mostRows || (count > 0 && nextTaken > mostTaken) || (keyRoom > 0 && keyBytes + keyLength > keyRoom) ||
            (valueRoom > 0 && valueBytes + valueLength > valueRoom)
          ) {
            event = EVENT_FULL
            break
          }
          taken = nextTaken
          if (keyRoom > 0) {
            keyBits |= copySeen(keys + keyBytes, key, keyLength)
            keyBytes += keyLength
          }
          if (valueRoom > 0) {
            valueBits |= copySeen(values + valueBytes, load<usize>(top, I_VALUE), valueLength)
            valueBytes += valueLength
          }
          const row = rows + count * ROW_BYTES
          store<u32>(row, keyBytes)
          store<u32>(row, valueBytes, 4)
          store<f64>(row, seq, 8)
          count++
        }
        copyWide(seen, key, keyLength)
        seenLength = keyLength
      }
    }
    const next = load<u32>(top, I_AT) + 1
    store<u32>(top, next, I_AT)
    if (next == load<u32>(top, I_COUNT)) {
      event = EVENT_INPUT
      break
    }
    showEntry(top)
    if (size > 1) {
      siftDown(heap, size, 0)
      top = load<usize>(heap)
    }
  }
  store<i32>(state, seenLength, SEEN_LENGTH)
  store<u32>(state, count, COUNT)
  store<u32>(state, keyBytes, KEY_BYTES)
  store<u32>(state, valueBytes, VALUE_BYTES)
  store<u32>(state, taken, TAKEN)
  store<u32>(state, keyBits, KEY_BITS)
  store<u32>(state, valueBits, VALUE_BITS)
  return event
}

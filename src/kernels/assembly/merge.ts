/**
 * The k-way merge: entries of the inputs in order; those `Retention` would keep go into the block being filled.
 *
 * Invariants
 * 1. It reads the checked blocks of the inputs and writes only the state's own columns.
 * 2. It returns for a new block, and for every entry that does not simply go into the block. Range tombstones lie behind the
 *    watched key.
 * 3. It adds the same entries as JavaScript, in the same order.
 */
import { compareKeys, copyWide, hashKey, sharedBytes, wordAt } from './bytes'
import { HEADER_BYTES, addEntry } from './block'
import { showEntry } from './input'
import {
  ADDED, ADDED_DELETES, ADDED_KEY_BYTES, ADDED_MAX_SEQ, ADDED_MIN_SEQ, ADDED_VALUE_BYTES, BLOCK_BYTES, COUNT, CUT_AT, DISTINCT, ENTRIES_IN, EVENT_END,
  EVENT_ENTRY, EVENT_INPUT, EVENT_WATCH, HEAP, HEAP_SIZE, I_AT, I_COUNT, I_KEY, I_KEY_LENGTH, I_KIND, I_SEQ, I_VALUE, I_VALUE_LENGTH, I_WORD,
  KEY_BYTES, KEY_COST, LAST_KEY, LAST_KEY_LENGTH, LAST_SEQ, OUTSIDE_MIN, PREFIX_LENGTH, SEEN, SEEN_LENGTH, SEEN_STRATUM, SNAPSHOTS, SNAPSHOT_COUNT,
  STARTS_KEY, STEP_BYTES, TOP_DONE, VALUE_BYTES, WATCH, WATCH_LENGTH,
} from './merge-layout'

const KIND_DELETE: u32 = 0
const KIND_PUT: u32 = 1
const LARGEST_SEQ: f64 = 9007199254740991
/** The block writer's cost of an entry beside key and value. */
const ENTRY_OVERHEAD_BYTES: u32 = 8
const ENTRY_COST_BYTES: u32 = 64

// @ts-ignore: decorator
@inline
function isBefore(a: usize, b: usize): bool {
  const aWord = load<u64>(a, I_WORD)
  const bWord = load<u64>(b, I_WORD)
  if (aWord != bWord) return aWord < bWord
  const order = compareKeys(load<usize>(a, I_KEY), load<u32>(a, I_KEY_LENGTH), load<usize>(b, I_KEY), load<u32>(b, I_KEY_LENGTH))
  return order != 0 ? order < 0 : load<f64>(a, I_SEQ) > load<f64>(b, I_SEQ)
}

export function siftDown(heap: usize, size: u32, at: u32): void {
  const moving = load<usize>(heap + (at << 2))
  while (true) {
    let child: u32 = 2 * at + 1
    if (child >= size) break
    let least = load<usize>(heap + (child << 2))
    if (child + 1 < size) {
      const other = load<usize>(heap + (child << 2), 4)
      if (isBefore(other, least)) {
        least = other
        child++
      }
    }
    if (!isBefore(least, moving)) break
    store<usize>(heap + (at << 2), least)
    at = child
  }
  store<usize>(heap + (at << 2), moving)
}

/** Order the first `size` addresses of the heap. */
export function buildHeap(state: usize, size: u32): void {
  store<u32>(state, size, HEAP_SIZE)
  const heap = load<usize>(state, HEAP)
  for (let i: i32 = (size >> 1) - 1; i >= 0; i--) siftDown(heap, size, i)
}

/** The top input has a new block, or is exhausted: restore the heap. */
export function settleTop(state: usize, isOver: bool): void {
  const heap = load<usize>(state, HEAP)
  let size = load<u32>(state, HEAP_SIZE)
  if (isOver) {
    store<u32>(state, --size, HEAP_SIZE)
    if (size == 0) return
    store<usize>(heap, load<usize>(heap + (size << 2)))
  }
  siftDown(heap, size, 0)
}

/** The number of snapshots too old to see it. */
// @ts-ignore: decorator
@inline
function stripeOf(state: usize, seq: f64): u32 {
  let high = load<u32>(state, SNAPSHOT_COUNT)
  if (high == 0) return 0
  const snapshots = load<usize>(state, SNAPSHOTS)
  let low: u32 = 0
  while (low < high) {
    const middle = (low + high) >> 1
    if (load<f64>(snapshots + (middle << 3)) < seq) low = middle + 1
    else high = middle
  }
  return low
}

export function merge(state: usize): u32 {
  const heap = load<usize>(state, HEAP)
  const size = load<u32>(state, HEAP_SIZE)
  if (size == 0) return EVENT_END
  const watch = load<usize>(state, WATCH)
  const watchLength = load<i32>(state, WATCH_LENGTH)
  const watchWord: u64 = watchLength < 0 ? u64.MAX_VALUE : wordAt(watch, watchLength)
  const outsideMin = load<f64>(state, OUTSIDE_MIN)
  const seen = load<usize>(state, SEEN)
  let entriesIn: u32 = 0
  let stepBytes: u32 = 0
  let event = EVENT_END
  let top = load<usize>(heap)
  let isDone = load<u32>(state, TOP_DONE) != 0
  store<u32>(state, 0, TOP_DONE)
  while (true) {
    if (!isDone) {
      const key = load<usize>(top, I_KEY)
      const keyLength = load<u32>(top, I_KEY_LENGTH)
      if (watchLength >= 0 && load<u64>(top, I_WORD) >= watchWord && compareKeys(key, keyLength, watch, watchLength) >= 0) {
        event = EVENT_WATCH
        break
      }
      const seq = load<f64>(top, I_SEQ)
      const stripe = stripeOf(state, seq)
      let keep = true
      const seenLength = load<i32>(state, SEEN_LENGTH)
      const limit = min(<i32>keyLength, seenLength)
      const shared = seenLength < 0 ? 0 : <i32>sharedBytes(seen, key, limit)
      if (shared == limit && <i32>keyLength == seenLength) {
        keep = stripe != load<u32>(state, SEEN_STRATUM)
      } else {
        // An input that runs backwards: `seen` does not hold for its key.
        if (shared == limit ? <i32>keyLength < seenLength : seenLength >= 0 && load<u8>(key + shared) < load<u8>(seen + shared)) {
          event = EVENT_WATCH
          break
        }
        copyWide(seen, key, keyLength)
        store<u32>(state, keyLength, SEEN_LENGTH)
        store<u32>(state, 1, STARTS_KEY)
      }
      if (keep) {
        store<u32>(state, stripe, SEEN_STRATUM)
        if (load<u32>(top, I_KIND) == KIND_DELETE && stripe == 0) keep = outsideMin < seq
      }
      entriesIn++
      stepBytes += ENTRY_COST_BYTES + keyLength + load<u32>(top, I_VALUE_LENGTH)
      if (keep) {
        if (!tryAdd(state, top, key, keyLength, seq)) {
          store<u32>(state, 1, TOP_DONE)
          event = EVENT_ENTRY
          break
        }
        store<u32>(state, 0, STARTS_KEY)
      }
    }
    isDone = false
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
  store<u32>(state, load<u32>(state, ENTRIES_IN) + entriesIn, ENTRIES_IN)
  store<u32>(state, load<u32>(state, STEP_BYTES) + stepBytes, STEP_BYTES)
  return event
}

/** Add the top entry if it simply goes into the block being filled. */
// @ts-ignore: decorator
@inline
function tryAdd(state: usize, top: usize, key: usize, keyLength: u32, seq: f64): bool {
  const count = load<u32>(state, COUNT)
  const kind = load<u32>(top, I_KIND)
  if (count == 0 || kind > KIND_PUT || !(seq >= 1 && seq <= LARGEST_SEQ)) return false
  const valueLength = load<u32>(top, I_VALUE_LENGTH)
  const blockBytes = load<u32>(state, BLOCK_BYTES)
  if (<u32>HEADER_BYTES + ENTRY_OVERHEAD_BYTES + keyLength + valueLength > blockBytes) return false

  const lastKey = load<usize>(state, LAST_KEY)
  const lastLength = load<u32>(state, LAST_KEY_LENGTH)
  const limit = min(keyLength, lastLength)
  const shared = <u32>sharedBytes(lastKey, key, limit)
  let isFirst = true
  if (shared == limit) {
    isFirst = keyLength != lastLength
    if (isFirst ? keyLength < lastLength : seq >= load<f64>(state, LAST_SEQ)) return false
  } else if (load<u8>(key + shared) < load<u8>(lastKey + shared)) {
    return false
  }

  const prefixBefore = load<u32>(state, PREFIX_LENGTH)
  const keyBytes = load<u32>(state, KEY_BYTES)
  const valueBytes = load<u32>(state, VALUE_BYTES)
  const pending = <u32>HEADER_BYTES + prefixBefore + keyBytes - count * prefixBefore + valueBytes + count * ENTRY_OVERHEAD_BYTES
  const keyCost = load<u32>(state, DISTINCT) * load<u32>(state, KEY_COST)
  if (load<u32>(state, STARTS_KEY) != 0 && <f64>(pending + keyCost) >= load<f64>(state, CUT_AT)) return false
  const prefixLength = min(prefixBefore, shared)
  const bytes = <u32>HEADER_BYTES + prefixLength + keyBytes + keyLength - (count + 1) * prefixLength + valueBytes + valueLength +
    (count + 1) * ENTRY_OVERHEAD_BYTES
  if (bytes > blockBytes) return false

  const hash: u32 = isFirst ? hashKey(key, keyLength) : 0
  addEntry(state, key, keyLength, load<usize>(top, I_VALUE), valueLength, seq, kind, shared, isFirst, hash)
  const added = load<u32>(state, ADDED)
  store<u32>(state, added + 1, ADDED)
  if (kind == KIND_DELETE) store<u32>(state, load<u32>(state, ADDED_DELETES) + 1, ADDED_DELETES)
  store<u32>(state, load<u32>(state, ADDED_KEY_BYTES) + keyLength, ADDED_KEY_BYTES)
  store<u32>(state, load<u32>(state, ADDED_VALUE_BYTES) + valueLength, ADDED_VALUE_BYTES)
  if (added == 0 || seq < load<f64>(state, ADDED_MIN_SEQ)) store<f64>(state, seq, ADDED_MIN_SEQ)
  if (added == 0 || seq > load<f64>(state, ADDED_MAX_SEQ)) store<f64>(state, seq, ADDED_MAX_SEQ)
  return true
}

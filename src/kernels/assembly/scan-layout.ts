/**
 * Where things lie in the state of one scan. `scan-kernel.ts` knows the same numbers. The heap comes first, as in the state of a merge,
 * so that `buildHeap` and `settleTop` serve both; the records of inputs are those of a merge too.
 */

/** Versions above it are not seen. */
export const SNAPSHOT: usize = 8
/** First key behind the range; length -1: none. */
export const BOUND_LENGTH: usize = 16
export const BOUND: usize = 20
/** The key that was decided last; length -1: none. */
export const SEEN_LENGTH: usize = 24
export const SEEN: usize = 28
/** Rows: end of the key and of the value in their areas (u32 each), sequence number (f64). */
export const COUNT: usize = 32
export const MAX_ROWS: usize = 36
export const ROWS: usize = 40
/** Areas of keys and values: where they begin, how much is used, how much there is; room 0: none are wanted. */
export const KEYS: usize = 44
export const KEY_BYTES: usize = 48
export const KEY_ROOM: usize = 52
export const VALUES: usize = 56
export const VALUE_BYTES: usize = 60
export const VALUE_ROOM: usize = 64
/** What the rows take when decoded, and may: each COST, and so many eighths of a byte for each byte of key and value. */
export const TAKEN: usize = 68
export const MAX_TAKEN: usize = 72
export const COST: usize = 76
export const KEY_EIGHTHS: usize = 80
export const VALUE_EIGHTHS: usize = 84
/** Bit 7 is set when some key, or value, is not ASCII. */
export const KEY_BITS: usize = 88
export const VALUE_BITS: usize = 92
export const ROW_BYTES: u32 = 16

// Why `scan` returns, beside EVENT_INPUT and EVENT_END of a merge.
/** The entry on top is visible, and no simple value. */
export const EVENT_ENTRY: u32 = 2
/** The entry on top is at or behind the bound. */
export const EVENT_BOUND: u32 = 3
/** There is no room for the entry on top. */
export const EVENT_FULL: u32 = 5

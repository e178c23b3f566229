/**
 * Layout of the state of one scan, as in `scan-kernel.ts`. Heap and records of inputs are as in a merge's state, for `buildHeap`
 * and `settleTop`.
 */

export const SNAPSHOT: usize = 8
/** First key outside the range; length -1: none. */
export const BOUND_LENGTH: usize = 16
export const BOUND: usize = 20
/** The last decided key; length -1: none. */
export const SEEN_LENGTH: usize = 24
export const SEEN: usize = 28
/** Rows: ends of key and value in their areas (u32 each), sequence number (f64). */
export const COUNT: usize = 32
export const MAX_ROWS: usize = 36
export const ROWS: usize = 40
/** Areas of keys and values: start, used, size; size 0: not wanted. */
export const KEYS: usize = 44
export const KEY_BYTES: usize = 48
export const KEY_ROOM: usize = 52
export const VALUES: usize = 56
export const VALUE_BYTES: usize = 60
export const VALUE_ROOM: usize = 64
/** Decoded size of the rows, its limit, and the COST of each row: fixed bytes and eighths of a byte per byte of key and value. */
export const TAKEN: usize = 68
export const MAX_TAKEN: usize = 72
export const COST: usize = 76
export const KEY_EIGHTHS: usize = 80
export const VALUE_EIGHTHS: usize = 84
/** Bit 7: some key, or value, is not ASCII. */
export const KEY_BITS: usize = 88
export const VALUE_BITS: usize = 92
export const ROW_BYTES: u32 = 16

/** The top entry is visible, and no simple value. */
export const EVENT_ENTRY: u32 = 2
/** The top entry is at or behind the bound. */
export const EVENT_BOUND: u32 = 3
/** No space for the top entry. */
export const EVENT_FULL: u32 = 5

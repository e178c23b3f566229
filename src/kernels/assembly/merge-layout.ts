/** Layout of the state of one merge and of the record of one input, as in `merge-kernel.ts`. Sequence numbers are f64. */

// The state of the merge.
export const HEAP_SIZE: usize = 0
/** Addresses of the inputs' records, a binary heap by current entry. */
export const HEAP: usize = 4
export const SNAPSHOT_COUNT: usize = 8
export const SNAPSHOTS: usize = 12
/** A block of this size, with KEY_COST per key, ends its table at the next key. */
export const CUT_AT: usize = 16
/** Tombstones below every snapshot stay only above this sequence number. */
export const OUTSIDE_MIN: usize = 24
/** Larger keys are left to JavaScript; length -1: none. */
export const WATCH_LENGTH: usize = 32
export const WATCH: usize = 36
/** The last key; length -1: none. */
export const SEEN_LENGTH: usize = 40
export const SEEN: usize = 44
export const SEEN_STRATUM: usize = 48
/** The output has no version of the key yet. */
export const STARTS_KEY: usize = 52
export const TOP_DONE: usize = 56
export const BLOCK_BYTES: usize = 60

// Work since JavaScript took it.
export const ENTRIES_IN: usize = 64
export const STEP_BYTES: usize = 68
export const ADDED: usize = 72
export const ADDED_DELETES: usize = 76
export const ADDED_KEY_BYTES: usize = 80
export const ADDED_VALUE_BYTES: usize = 84
export const ADDED_MIN_SEQ: usize = 88
export const ADDED_MAX_SEQ: usize = 96
/** Of the last added entry. */
export const LAST_SEQ: usize = 104

// The block being filled, as in data-block-writer.ts and key-column.ts.
export const COUNT: usize = 112
export const PREFIX_LENGTH: usize = 116
export const KEY_BYTES: usize = 120
export const USED: usize = 124
export const FIRST_LENGTH: usize = 128
export const VALUE_BYTES: usize = 132
export const DISTINCT: usize = 136
export const ALL_PUTS: usize = 140
export const MIN_SEQ: usize = 144
export const MAX_SEQ: usize = 152
export const KEYS: usize = 160
export const VALUES: usize = 164
export const SKIPS: usize = 168
export const ENDS: usize = 172
export const VALUE_ENDS: usize = 176
export const SEQS: usize = 180
export const KINDS: usize = 184
export const HASHES: usize = 188
export const FIRSTS: usize = 192
export const LAST_KEY: usize = 196
export const LAST_KEY_LENGTH: usize = 200
export const KEY_COST: usize = 204

// The record of an input: its current entry, then its block.
export const I_KEY: usize = 0
export const I_KEY_LENGTH: usize = 4
/** The first eight bytes of the key. */
export const I_WORD: usize = 8
export const I_SEQ: usize = 16
export const I_VALUE: usize = 24
export const I_VALUE_LENGTH: usize = 28
export const I_KIND: usize = 32
/** Index of the entry in its block, and number of entries. */
export const I_AT: usize = 36
export const I_COUNT: usize = 40
/** 0: records; else the width of an offset, 2 or 4. */
export const I_WIDTH: usize = 44
/** Keys are assembled after the prefix here. */
export const I_KEY_ROOM: usize = 48
export const I_PREFIX_LENGTH: usize = 52
export const I_KEY_ENDS: usize = 56
export const I_VALUE_ENDS: usize = 60
export const I_SEQS: usize = 64
export const I_SEQ_WIDTH: usize = 68
/** 0: every entry is a put. */
export const I_KINDS: usize = 72
export const I_SUFFIXES: usize = 76
export const I_VALUES: usize = 80
/** Next key suffix and value in their areas; of records, the next one. */
export const I_NEXT_SUFFIX: usize = 84
export const I_NEXT_VALUE: usize = 88
export const I_MIN_SEQ: usize = 96

// The block of the top input is exhausted.
export const EVENT_INPUT: u32 = 1
/** The top entry must be added by JavaScript. */
export const EVENT_ENTRY: u32 = 2
/** The top key is not before the watched one. */
export const EVENT_WATCH: u32 = 3
/** All inputs are exhausted. */
export const EVENT_END: u32 = 4

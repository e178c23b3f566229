/** Layout of the imported memory, as in `kernels.ts`: static data, the last hash, the match table, the caller's regions. */

/** Eight bytes, little-endian. */
export const RESULT: usize = 1024
/** u32 slots, zero in fresh memory. */
export const TABLE: usize = 2048
export const TABLE_LOG: u32 = 12
export const TABLE_BYTES: usize = 1 << (TABLE_LOG + 2)

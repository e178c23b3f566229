/**
 * Layout of the imported memory, as in `kernels.ts`: static data below RESULT, the last hash, the match table, then the caller's
 * regions.
 */

/** Eight bytes: the last hash, little-endian. */
export const RESULT: usize = 1024
/** The compressor's match table: u32 slots, zero in fresh memory. */
export const TABLE: usize = 2048
export const TABLE_LOG: u32 = 12
export const TABLE_BYTES: usize = 1 << (TABLE_LOG + 2)

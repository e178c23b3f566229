/**
 * The order in which memory is taken back when a lease does not fit: cheapest to restore first. MEMORY.md prints this table
 * (`scripts/memory-tables.mjs`); `npm run bench:reclaim` measures the costs. A new reclaimer is one row here.
 */
export interface ReclaimEntry {
  /** Lower numbers are asked first. */
  readonly order: number
  readonly takes: string
  /** To restore it, measured. */
  readonly cost: string
}

export const RECLAIM_ORDER = {
  freeWindows: { order: 10, takes: 'free windows of cursors', cost: 'one allocation of 8 to 64 KiB' },
  freeArenas: { order: 20, takes: 'free memtable arenas', cost: 'one allocation of 256 KiB or more' },
  cacheIfLarger: { order: 30, takes: 'cache slots, if the cache holds more than the iterators', cost: 'one read of a block' },
  idleScans: { order: 40, takes: 'scans and entries of idle iterators, oldest first', cost: 'one seek in every run' },
  cache: { order: 50, takes: 'cache slots', cost: 'one read of a block' },
  readAhead: { order: 60, takes: 'stretches that scans have read ahead', cost: 'one read of a block for each block, instead of one for 25' },
  asyncReads: { order: 70, takes: 'slots of block reads off the main thread, when none is under way', cost: '16 allocations of 8 KiB' },
  collections: { order: 80, takes: 'entries that collections have read ahead, pages of queues', cost: 'one seek; one page written and read' },
} satisfies Record<string, ReclaimEntry>

export type ReclaimerName = keyof typeof RECLAIM_ORDER

/**
 * Every named account of the ledger: what it holds, what bounds it, who draws on it, which test checks it.
 * `db.memory()` shows `bound`; MEMORY.md prints the rest (`scripts/memory-tables.mjs`). A new account is one row here.
 */
export interface AccountEntry {
  /** Short, for the report. */
  readonly bound: string
  readonly holds: string
  /** The bound in full. */
  readonly limit: string
  /** Source files, below src/. */
  readonly where: readonly string[]
  readonly tests: readonly string[]
  /** How a user can lower it; follows "Raise the budget, or". */
  readonly remedy?: string
}

const STORE_ACCOUNTS = {
  memtables: {
    bound: 'a share of the budget, moved by the tuner; two of the smallest are reserved',
    holds: 'arenas of all memtables, in use and free; sizes are powers of two from 256 KiB',
    limit: 'two of 256 KiB are reserved; in total budget / 4 at first (up to 32 MiB of budget 0.53, for a store alone), moved by the tuner between budget / 16 and 0.6 x budget',
    where: ['store/engine/arena-admission.ts', 'store/engine/arena-pool.ts', 'store/engine/governor.ts'],
    tests: ['store/engine/arena-admission.test.ts', 'store/engine/governor.test.ts', 'store/scenarios/shared-budget.test.ts'],
  },
  log: {
    bound: 'fixed: one buffer',
    holds: 'the one buffer in which commit groups are framed, one store at a time',
    limit: 'fixed: 512 KiB',
    where: ['store/engine/log-buffer.ts'],
    tests: ['wal/log.test.ts', 'store/scenarios/shared-budget.test.ts'],
  },
  'write queue': {
    bound: 'fixed: writes waiting for memory',
    holds: 'writes that wait for memory; when it is full, a call waits inside itself',
    limit: 'fixed: 256 KiB',
    where: ['store/write/write-queue.ts'],
    tests: ['store/scenarios/queued-writes.test.ts'],
  },
  encoding: {
    bound: 'fixed per store: scratch for keys and values',
    holds: 'scratch for keys and values as text; longer text is encoded piece by piece on its way to its file',
    limit: '332 KiB a store',
    where: ['store/api/encode-buffers.ts', 'encoding/encoding.ts'],
    tests: ['store/scenarios/shared-budget.test.ts', 'store/write/large-values.test.ts'],
    remedy: 'close stores that share it',
  },
  kernels: {
    bound: 'fixed: wasm memory for checksums and compression',
    holds: 'wasm memory of the main thread: checksums, compression and, in the upper halves of its regions, the blocks and rows of an iterator during a call; large values pass through it in pieces of 256 KiB, `verify` reads into it',
    limit: 'fixed: 576 KiB',
    where: ['kernels/kernels.ts'],
    tests: ['kernels/kernels.test.ts', 'store/write/large-values.test.ts', 'store/scan/kernel-scan.test.ts'],
  },
  worker: {
    bound: 'one isolate with a small heap: 6 MiB, from 48 MiB of budget on 13; inline: wasm memory of background jobs',
    holds: 'an isolate and its wasm memory (inline: wasm memory of the jobs): as on the main thread, and an arena of 288 KiB in which flushes and merges run; a job that does not fit there runs entry by entry in JavaScript',
    limit: '5.8 MiB, 12.8 with budgets from 48 MiB on (inline, below 24 MiB of budget: 0.9 MiB)',
    where: ['store/engine/budget-plan.ts', 'kernels/merge-kernel.ts'],
    tests: ['compaction/kernel-merge.test.ts'],
  },
  'flush and merge': {
    bound: 'one flush and one smallest merge are reserved; wider merges lease more',
    holds: 'buffers of one flush and one smallest merge, reserved; wider merges lease more or read in smaller pieces. While a store opens, the reserve holds the buffer in which its log is read, and copied where nothing proves it durable',
    limit: '2.2 MiB reserved; a merge of k runs: k x (read-ahead 16 to 64 KiB + 32 KiB of windows) + 1 MiB',
    where: ['store/engine/job-scheduler.ts', 'store/background/flusher.ts', 'store/background/merger.ts'],
    tests: ['compaction/jobs.test.ts', 'store/scenarios/model.test.ts'],
  },
  'table metadata': {
    bound: 'grows with tables: top index, range tombstones, key ranges',
    holds: 'the resident part of each open table, of the version and of the tree; resolved range tombstones of memtables; 64 bytes per value file, leased before it is written',
    limit: '1.3 KiB a table, its first and last key, 1/200 of its index, 20 bytes and the keys for each of its range tombstones; 640 bytes a run; arenas and wide merges leave 512 KiB for it and for readers, and 64 KiB are kept for the tables that a flush or merge installs',
    where: ['store/state/table-set.ts', 'memory/reserved-lease.ts', 'store/state/memtable-tombstones.ts', 'store/state/value-file-refs.ts'],
    tests: ['store/scenarios/table-metadata.test.ts', 'store/scenarios/range-tombstones.test.ts', 'store/scenarios/shared-budget.test.ts'],
    remedy: 'close stores that share it',
  },
  objects: {
    bound: 'fixed: JavaScript objects, 384 KiB and 32 KiB a store; from 48 MiB of budget on a 32nd of it for garbage',
    holds: 'JavaScript objects: measured 380 KiB for the first store and 27 KiB for each further one, after a collection',
    limit: '384 KiB and 32 KiB a store; with budgets from 48 MiB on a 32nd of it more, for garbage before it is collected',
    where: ['store/engine/budget-plan.ts', 'store/engine/budget-engine.ts'],
    tests: ['store/scenarios/shared-budget.test.ts'],
  },
  transactions: {
    bound: '4 KiB for each that is open, 640 bytes a run, keys read for update up to 16 KiB each',
    holds: 'for each open transaction its objects (4 KiB), its first memtable of 16 KiB, 640 bytes a run of its tables, and the keys it read for update while they are few; further memtables and tables are in the accounts of the store',
    limit: 'first memtables: while all are within 1/32 of the budget, then arenas; keys read for update: 16 KiB, then tables',
    where: ['store/transaction/transaction.ts', 'store/staged/staged-arena.ts', 'store/staged/staged-runs.ts', 'store/transaction/read-set.ts'],
    tests: ['store/transaction/transaction.test.ts'],
    remedy: 'end transactions',
  },
  iterators: {
    bound: 'a window per run and entries read ahead, given back when idle; about 1.1 KiB each; a reserve for one read',
    holds: 'for each open iterator its objects and keys (1.3 KiB and 224 bytes a key beside its length); for an open scan 2 KiB, and for each run 1 KiB or, entry by entry, a window of at least 8 KiB and 3.5 KiB of cursors; entries read ahead, at their size as JavaScript values',
    limit: '256 KiB are reserved for one read; entries read ahead: an eighth of the budget, at most 128 KiB an iterator; scans kept between calls: half of it. Both are given back on demand',
    where: ['memory/windows.ts', 'memory/overdraft.ts', 'store/scan/entry-scan.ts', 'store/scan/iterator-prefetch.ts', 'store/scan/iterator-position.ts'],
    tests: ['store/scenarios/iterator-memory.test.ts', 'memory/windows.test.ts', 'memory/overdraft.test.ts', 'compaction/reread-cursor.test.ts'],
    remedy: 'close iterators',
  },
  'cache ghosts': {
    bound: 'fixed: names of recently evicted blocks, to measure what more cache would be worth',
    holds: 'names of recently evicted blocks, 20 bytes each',
    limit: 'fixed: for a tenth of the budget in blocks; none below 12 MiB',
    where: ['cache/ghosts.ts'],
    tests: ['cache/ghosts.test.ts'],
  },
  'block cache': {
    bound: 'memory that no other account needs',
    holds: 'uncompressed blocks in slots of 256 KiB, and their directory',
    limit: 'memory that no other account needs; given back on demand',
    where: ['cache/block-cache.ts'],
    tests: ['cache/block-cache.test.ts'],
  },
  'compressed blocks': {
    bound: 'a share of the block cache, where compressed blocks are cheaper',
    holds: 'blocks as they are stored, in slots of 256 KiB, and their directory; none where that is not cheaper',
    limit: '85 % of the memory of the block cache',
    where: ['cache/two-level-cache.ts'],
    tests: ['cache/two-level-cache.test.ts'],
  },
  rows: {
    bound: 'a share of the block cache, where rows are worth more; 1/256 of the budget to know them',
    holds: 'single rows that are read often, in slots of 256 KiB (64 KiB with budgets below 48 MiB), and their directory of 32 to 64 bytes a row; two-byte tags of rows read once, and scratch for one row',
    limit: 'tags: 1/256 of the budget; rows: at most half of the memory of the block cache, less where blocks are worth more; none below 12 MiB',
    where: ['cache/row-cache.ts', 'cache/read-cache.ts'],
    tests: ['cache/row-cache.test.ts', 'cache/read-cache.test.ts', 'store/scan/row-decoder.test.ts'],
  },
  'cold reads': {
    bound: 'fixed: 16 slots of 8 KiB while reads from the device are under way',
    holds: 'blocks on their way from the device, read off the main thread for gets',
    limit: '16 slots of 8 KiB, given back when no read is under way',
    where: ['store/engine/async-block-reads.ts'],
    tests: ['store/read/async-get.test.ts'],
  },
  'read ahead': {
    bound: '8 stretches of 1/1024 of the budget, 16 to 64 KiB each, where as much is left; given back on demand',
    holds: 'stretches of tables that scans read in one piece, shared by all scans, and two-byte tags that tell a second pass from a first',
    limit: '8 stretches of 1/1024 of the budget, 16 to 64 KiB each, and 8 KiB, leased when first needed and only where as much is left; given back on demand',
    where: ['table/block/read-ahead.ts'],
    tests: ['table/block/read-ahead.test.ts'],
  },
} satisfies Record<string, AccountEntry>

const OTHER_ACCOUNTS = {
  collections: {
    bound: 'filters of keys, at most a quarter of the budget each',
    holds: 'for each SpillMap and SpillSet the filter that recognises new keys',
    limit: '10 bits a key in layers, at most a quarter of the budget; leaves 1 MiB to others when it grows',
    where: ['collections/spill-map-filter.ts'],
    tests: ['collections/spill-map-filter.test.ts', 'collections/spill-map.test.ts'],
  },
  verify: {
    bound: 'kernels, a frame of the log, read-ahead; names of files, the manifest, the index of a table',
    holds: 'for `spillway verify`, which opens no store: kernels, a frame of the log, the read-ahead of a table and copies of its index nodes; 192 bytes a file, six times the manifest, the top index of the current table. `db.verify` draws the same on `kernels`, `flush and merge` and `table metadata`',
    limit: 'fixed 1.5 MiB, plus the manifest and the largest table index',
    where: ['store/verify/verify-closed.ts'],
    tests: ['store/verify/verify-directory.test.ts'],
  },
  dump: {
    bound: 'kernels, a frame of the log, copies of index nodes; six times a manifest',
    holds: 'for `spillway dump`, which reads one file: kernels, a frame of the log, the window of a search for frames, copies of the index nodes above the current block, a manifest as text and as JSON',
    limit: 'fixed 1.1 MiB, and the index nodes above a block or six times the manifest',
    where: ['cli/dump/dump-file.ts'],
    tests: ['cli/commands/dump.test.ts'],
  },
  pages: {
    bound: 'pages in memory, 256 bytes of bookkeeping a page, the map of the scratch file',
    holds: 'slots of pages in memory (their length rounded up to 4 KiB) and of copies for pins, warm slots, 256 bytes of bookkeeping a page, 132 bytes for 4 MiB of scratch file, the longest page born backed once as a reserve; with a runner the staging buffer of its jobs and their kernels',
    limit: 'pages in memory: the limit of the pool, live, plus pins that find no memory in it; warm slots: an eighth of the limit, at most 1 GiB; staging: 1 MiB or an eighth of the limit, and 192 KiB of kernels',
    where: ['pages/page-pool.ts', 'pages/page-residency.ts', 'pages/slot-pool.ts', 'pages/spill-jobs.ts', 'pages/extent-map.ts'],
    tests: ['pages/page-residency.test.ts', 'pages/page-read-back.test.ts', 'pages/page-pool-model.test.ts', 'pages/slot-pool.test.ts', 'pages/spill-jobs.test.ts'],
  },
  'compressed pages': {
    bound: 'the RSS target of the pool',
    holds: 'evicted pages in memory: slabs of 256 KiB in blocks of 4 KiB; on a budget of its own (`tierAccount`), else on that of the pages',
    limit: 'pages, warm slots and slabs together: the RSS target of the pool; 0 = none',
    where: ['pages/compressed-tier.ts', 'pages/extent-store.ts'],
    tests: ['pages/compressed-tier.test.ts', 'pages/page-residency.test.ts'],
  },
  sort: {
    bound: 'nearly all of the budget of the sort',
    holds: 'one buffer: entries and 24 bytes each of index, then windows of runs',
    limit: 'the memory the other accounts of the sort leave; 1 MiB at first',
    where: ['collections/external-sort-engine.ts'],
    tests: ['collections/external-sort-engine.test.ts'],
  },
  'sorted runs': {
    bound: 'first and last keys, and 24 bytes a page',
    holds: '64 bytes of first and last keys of runs, 24 bytes a page; an entry larger than a group of pages while it is copied',
    limit: '1/12 of the budget, with the bookkeeping of the pool',
    where: ['pages/paged-fences.ts'],
    tests: ['pages/paged-run.test.ts'],
  },
  'sort items': {
    bound: 'fixed: scratch for text',
    holds: 'scratch for text',
    limit: '16 KiB',
    where: ['collections/external-sort-items.ts'],
    tests: ['collections/external-sort.test.ts'],
  },
  'sort output': {
    bound: 'a chunk of lines, and an unfinished line',
    holds: 'a chunk of lines, and a line whose end is still to come',
    limit: '256 KiB or 1/32 of the budget, or the longest line',
    where: ['collections/external-sort-lines.ts'],
    tests: ['collections/external-sort-lines.test.ts'],
  },
  groups: {
    bound: 'a third of the budget',
    holds: 'accumulators, estimated from their spilled size; one of them, or an item, as bytes on its way into the sort',
    limit: '1/3 of the budget; twice the largest accumulator, or the largest where memory is short',
    where: ['collections/group-by-table.ts'],
    tests: ['collections/group-by.test.ts'],
  },
  'queue ends': {
    bound: 'two pages, or the largest item; scratch; 8 bytes a page',
    holds: 'the pages at both ends of a queue, and the list of pages',
    limit: 'two pages and the largest item',
    where: ['collections/spill-queue.ts'],
    tests: ['collections/spill-queue.test.ts'],
  },
  'queue iterators': {
    bound: 'a page each',
    holds: 'a page for each iterator of a queue',
    limit: 'a page each',
    where: ['collections/spill-queue.ts'],
    tests: ['collections/spill-queue.test.ts'],
  },
  'spill caches': {
    bound: 'three quarters of the budget of a cache with lower levels, else all of it',
    holds: 'for each SpillCache the segments of level 1, 35 bytes an entry and 8 to 25 for the policy, scratch for a key and a value, hashes of keys evicted recently',
    limit: 'level 1: the budget without 25 % for level 2, 64 KiB pages and kernels; half of the free part of a shared budget',
    where: ['toolkit/spill-cache.ts', 'cache/record-log.ts', 'cache/entry-table.ts'],
    tests: ['toolkit/spill-cache.test.ts', 'toolkit/spill-cache-model.test.ts'],
    remedy: 'close caches that share it',
  },
  pools: {
    bound: 'the capacity of each pool',
    holds: 'for each SlabPool, BuddyPool, ArenaPool and ObjectPool its memory, in use or free, and its bookkeeping',
    limit: 'the `capacity` of the pool; without one the budget',
    where: ['memory/pools/slab-pool.ts', 'memory/pools/buddy-pool.ts', 'memory/pools/bump-arena.ts', 'memory/pools/object-pool.ts'],
    tests: ['memory/pools/slab-pool.test.ts', 'memory/pools/buddy-pool.test.ts', 'memory/pools/bump-arena.test.ts', 'memory/pools/object-pool.test.ts'],
    remedy: 'close pools that share it',
  },
  profiler: {
    bound: 'open handles: 1/128 of the budget; samples: 1/64 of it; none while no profiler runs',
    holds: 'while a profiler runs: a ring of samples, and 192 bytes for each open iterator, snapshot and transaction with 640 for each place that opened some. With SPILLWAY_DEBUG the latter alone',
    limit: 'handles: 1/128 of the budget, 32 KiB to 1 MiB; samples: 1/64 of it, 64 KiB to 1 MiB for each budget and 64 KiB to 512 KiB for the engine',
    where: ['memory/watch-handles.ts', 'observe/sample-ring.ts', 'observe/ledger-history.ts', 'observe/heap-history.ts', 'observe/gc-window.ts'],
    tests: ['memory/open-handles.test.ts', 'observe/sample-ring.test.ts', 'observe/profiler.test.ts'],
    remedy: 'stop the profiler',
  },
  'spill kernels': {
    bound: 'fixed',
    holds: 'wasm memory of the page pool of a sort, a grouping or a queue',
    limit: 'fixed 192 KiB',
    where: ['collections/spill-pages.ts'],
    tests: ['collections/spill-space.test.ts'],
  },
} satisfies Record<string, AccountEntry>

export type AccountName = keyof typeof STORE_ACCOUNTS | keyof typeof OTHER_ACCOUNTS
export const ACCOUNTS: Readonly<Record<AccountName, AccountEntry>> = { ...STORE_ACCOUNTS, ...OTHER_ACCOUNTS }

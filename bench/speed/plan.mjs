// What is measured: groups of workloads, each group in a process of its own, and the ratio to the best Node peer that we aim at.
//
// A group may have a `budgetMiB` of its own: what is to be in memory needs more than what is said for all.
// A workload: `rows` (of the store, or to write), `valueBytes`, `limitSeconds` (what is not done by then is not done; the rate is that
// until then), and what its program under workloads/ takes. `target`: ours / best peer; `most...`: what ours may be at most.

export const MIB = 2 ** 20
export const KEY_BYTES = 16
export const OURS = 'spillway'
export const ROCKSDB = 'rocksdb-cpp'

const SMALL = 100
const LARGE = 1024
const CAP_BYTES = 256 * MIB
/** More than a million rows of 100 B take. */
const IN_MEMORY_MIB = 256

/** `rows`: what stands for a million. `scale`: of all counts, and of times when below 1. */
export function groupsOf({ rows: million, scale }) {
  const rows = Math.round(million * scale)
  const seconds = limit => scale < 1 ? Math.max(1, limit * scale) : limit
  const put = (name, writers, more = {}) => write(name, { writers, ...more })
  const batch = (name, batchRows, more = {}) => write(name, { batchRows, ...more })
  const write = (name, { limit = 10, ...more }) => ({
    name, program: 'writes', workloads: [{ name, rows, valueBytes: SMALL, limitSeconds: seconds(limit), ...more }],
  })
  const durable = (name, writers, target) => ({
    ...put(name, writers, { rows: Infinity, limit: 5, target }), isDurable: true,
  })
  const get = (name, more) => ({
    name, kind: 'gets', rows, valueBytes: SMALL, hotRows: Math.ceil(rows / 10), count: rows, limitSeconds: seconds(3), ...more,
  })
  const ycsb = letter => ({
    name: `ycsb-${letter}`, kind: 'ycsb', letter, rows, valueBytes: SMALL, count: rows, limitSeconds: seconds(3), target: 2,
  })
  const cold = (name, readers, target) => ({
    name, rows: Math.round(1.5 * rows), valueBytes: LARGE, readers, limitSeconds: seconds(8), target,
  })

  return [
    put('put-1', 1, { target: 4 }),
    put('put-16', 16, { waits: 'after', isAmplificationJudged: true }),
    put('put-128', 128, { target: 4 }),
    put('put-1-1k', 1, { valueBytes: LARGE }),
    batch('batch-100', 100),
    batch('batch-1000', 1000, { target: 2 }),
    batch('batch-1000-1k', 1000, { valueBytes: LARGE }),
    put('overwrite-16', 16, { isOverwrite: true, target: 4 }),
    durable('durable-1', 1, 1.2),
    durable('durable-16', 16, 3),
    {
      name: 'loaded', program: 'loaded', budgetMiB: IN_MEMORY_MIB, workloads: [
        get('get-hot-sync', { target: 2 }),
        get('get-hot-await', { isAwaited: true, target: 1.5 }),
        get('get-missing-sync', { isMissing: true, target: 2 }),
        get('get-missing-await', { isMissing: true, isAwaited: true, target: 2 }),
        { name: 'scan-full', kind: 'scans', rows, valueBytes: SMALL, limitSeconds: seconds(20), target: 3 },
        {
          name: 'scan-100', kind: 'scans', rows, valueBytes: SMALL, scanRows: 100, count: Math.round(20_000 * scale),
          limitSeconds: seconds(8), target: 3,
        },
        // Those that only read come first, and E, which the others would leave with more rows, last.
        ycsb('c'), ycsb('b'), ycsb('a'), ycsb('f'), ycsb('d'), ycsb('e'),
      ],
    },
    {
      // The same with less memory than data: blocks come from the page cache of the system.
      name: 'loaded-small', program: 'loaded', mostRounds: 1, workloads: [
        get('get-hot-sync-small', {}),
        get('get-missing-sync-small', { isMissing: true }),
        { name: 'scan-full-small', kind: 'scans', rows, valueBytes: SMALL, limitSeconds: seconds(20) },
        { name: 'scan-100-small', kind: 'scans', rows, valueBytes: SMALL, scanRows: 100, count: Math.round(20_000 * scale), limitSeconds: seconds(8) },
        { ...ycsb('c'), name: 'ycsb-c-small', target: undefined }, { ...ycsb('b'), name: 'ycsb-b-small', target: undefined },
        { ...ycsb('a'), name: 'ycsb-a-small', target: undefined },
      ],
    },
    {
      name: 'delete-90', program: 'deletes',
      workloads: [{ name: 'delete-90', rows, valueBytes: SMALL, deletedShare: 0.9, limitSeconds: seconds(20), mostFirstMs: 1 }],
    },
    // Long ones: what other runs repeat, these average.
    { ...batch('batch-1000-2gb', 1000, { rows: 18 * rows, limit: 60, waits: 'timed', target: 2, isAmplificationJudged: true }), mostRounds: 1 },
    { ...put('fill-capped', 16, { rows: 4 * rows, valueBytes: LARGE, limit: 40, target: 2, mostMaxMs: 50 }), capBytes: CAP_BYTES, mostRounds: 1 },
    {
      name: 'cold', program: 'cold', capBytes: CAP_BYTES, isLoadedBefore: true, mostRounds: 1,
      workloads: [cold('cold-get-1', 1, 2), cold('cold-get-16', 16, 3)],
    },
  ]
}

/** Groups with only the workloads whose name begins with one of `prefixes`; all when there are none. */
export function chosen(groups, prefixes) {
  if (prefixes.length === 0) return groups
  const isChosen = ({ name }) => prefixes.some(prefix => name.startsWith(prefix))
  return groups.map(group => ({ ...group, workloads: group.workloads.filter(isChosen) })).filter(group => group.workloads.length > 0)
}

// What it costs to restore memory that was taken back, the reason for the order in src/memory/reclaim-order.ts: npm run bench:reclaim
//
//   node bench/reclaim.mjs [--rows 200000] [--runs 8] [--rounds 400] [--dir PARENT] [--json]
//
// Medians in microseconds over `rounds`, and what that is per MiB restored. Reads come from the page cache: on a device those of a block and a seek take longer, in
// proportion, and the order stays. A store of `rows` rows in `runs` runs is read; before each read all reclaimable memory of its
// budget is taken back, so the row includes every block on the way (index, filter, data).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Budget, Spillway } from '../dist/index.js'

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '200000' }, runs: { type: 'string', default: '8' }, rounds: { type: 'string', default: '400' },
    dir: { type: 'string', default: tmpdir() }, json: { type: 'boolean', default: false },
  },
})
const [rows, runs, rounds] = [options.rows, options.runs, options.rounds].map(Number)
const KIB = 1024
const keyOf = i => `key${String(i).padStart(12, '0')}`
const value = Buffer.alloc(100, 'spillway ')

const middle = times => times.sort((a, b) => a - b)[rounds >> 1]
function timed(work) {
  const startMs = performance.now()
  work()
  return (performance.now() - startMs) * 1000
}
const allocate = (bytes, make) => ({ us: middle(Array.from({ length: rounds }, () => timed(() => make(bytes).fill(1)))), bytes })

const directory = mkdtempSync(join(options.dir, 'spillway-reclaim-'))
const results = {}
try {
  results['a window of 32 KiB'] = allocate(32 * KIB, bytes => new Uint8Array(bytes))
  results['an arena of 256 KiB'] = allocate(256 * KIB, bytes => new Uint8Array(new SharedArrayBuffer(bytes)))
  const budget = new Budget('48 MiB')
  const db = await Spillway.open(join(directory, 'store'), {
    budget, valueEncoding: 'buffer', compaction: { strategy: 'tiered', minMergeWidth: 32, maxMergeWidth: 32, maxRuns: 64, maxSpaceAmplificationPercent: 100_000 },
  })
  for (let run = 0; run < runs; run++) {
    for (let i = run; i < rows; i += runs * 100) {
      db.batchSync(Array.from({ length: 100 }, (_, j) => ({ type: 'put', key: keyOf(i + j * runs), value })))
    }
    await db.flush()
  }
  // A lease of the whole budget takes everything back, and is denied.
  const takeBack = () => budget.makeRoom(budget.totalBytes)
  const random = i => keyOf((i * 7919) % rows)
  /** Bytes of the blocks read so far, in each round. */
  const missBytes = () => db.stats().cache.compressed.reads * 4 * KIB / rounds
  let before = missBytes()
  results['a get, its blocks not cached'] = {
    us: middle(Array.from({ length: rounds }, (_, i) => {
      takeBack()
      return timed(() => db.getSync(random(i)))
    })),
  }
  results['a get, its blocks not cached'].bytes = missBytes() - before
  before = missBytes()
  results[`a seek in ${db.stats().runs.length} runs, nothing cached`] = { us: await medianOfSeeks(db, takeBack, random), bytes: missBytes() - before }
  results['the next entry of an iterator that lost nothing'] = { us: await medianOfSeeks(db, () => {}, random), bytes: 0 }
  await db.close()
} finally {
  rmSync(directory, { recursive: true, force: true })
}

async function medianOfSeeks(db, before, random) {
  const times = []
  for (let i = 0; i < rounds; i++) {
    const iterator = db.iterator({ gte: random(i) })
    await iterator.nextv(1)
    before()
    const startMs = performance.now()
    await iterator.nextv(1)
    times.push((performance.now() - startMs) * 1000)
    await iterator.close()
  }
  return middle(times)
}

if (options.json) console.log(JSON.stringify(results, undefined, 2))
else {
  console.log('      us   per MiB')
  for (const [name, { us, bytes }] of Object.entries(results)) {
    console.log(`${us.toFixed(1).padStart(8)}  ${(bytes > 0 ? `${(us / bytes * KIB * KIB / 1000).toFixed(1)} ms` : '').padStart(8)}  ${name}`)
  }
}

// Loads many rows into a store with a small budget and reports what that took: npm run bench:import
//
//   node bench/import.mjs [--rows 10000000] [--budget "32 MiB"] [--batch 1000] [--value 100] [--order random|sequential]
//                         [--compaction tiered|leveled] [--dir PARENT] [--json]
//
// Keys are 16 bytes, values about half compressible. RSS is that of this whole process, worker included, over what it was
// before the store was opened, sampled every 10 ms and at every batch; the rows of one batch are part of it.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Spillway } from '../dist/index.js'

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000000' },
    budget: { type: 'string', default: '32 MiB' },
    batch: { type: 'string', default: '1000' },
    value: { type: 'string', default: '100' },
    order: { type: 'string', default: 'random' },
    compaction: { type: 'string', default: 'tiered' },
    dir: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
})
const rows = Number(options.rows)
const batch = Number(options.batch)
const valueBytes = Number(options.value)
const MIB = 1024 * 1024

let state = 0x2545f491
function random32() {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return state >>> 0
}

const filler = Buffer.alloc(valueBytes, 'spillway ')
function makeBatch(first, count) {
  const operations = new Array(count)
  for (let i = 0; i < count; i++) {
    const key = Buffer.allocUnsafe(16)
    key.writeUInt32BE(options.order === 'random' ? random32() : 0, 0)
    key.writeUInt32BE(options.order === 'random' ? random32() : 0, 4)
    key.writeUIntBE(first + i, 8, 6)
    key.writeUInt16BE(0, 14)
    const value = Buffer.from(filler)
    for (let at = 0; at + 4 <= valueBytes / 2; at += 4) value.writeUInt32LE(random32(), at)
    operations[i] = { type: 'put', key, value }
  }
  return operations
}

const directory = mkdtempSync(join(options.dir, 'spillway-import-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))

const open = () => Spillway.open(directory, {
  budget: options.budget, keyEncoding: 'buffer', valueEncoding: 'buffer', compaction: options.compaction,
})
makeBatch(0, batch)
globalThis.gc?.()
const rssBefore = process.memoryUsage.rss()
let rssPeak = rssBefore
const sample = () => { rssPeak = Math.max(rssPeak, process.memoryUsage.rss()) }
const sampler = setInterval(sample, 10)

const db = await open()
const started = performance.now()
let worst = 0
for (let done = 0; done < rows; done += batch) {
  const operations = makeBatch(done, Math.min(batch, rows - done))
  const before = performance.now()
  await db.batch(operations)
  worst = Math.max(worst, performance.now() - before)
  if ((done / batch) % 100 === 0) sample()
}
const seconds = (performance.now() - started) / 1000
const stats = db.stats()
const memory = db.memory()
const closing = performance.now()
await db.close()
const closed = performance.now()
const diskBytes = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
const again = await open()
const reopened = performance.now()
const report = await again.verify()
const verified = performance.now()
const counted = await again.count()
const countedAt = performance.now()
await again.close()
clearInterval(sampler)

const result = {
  rows, valueBytes, order: options.order, budget: options.budget, compaction: options.compaction, node: process.version,
  seconds, rowsPerSecond: Math.round(rows / seconds), worstBatchMs: worst,
  writeAmplification: stats.written.amplification, stalls: stats.stalls, flushes: stats.flushes, merges: stats.merges, runs: stats.runs.length,
  peakLedgerMiB: memory.highWaterBytes / MIB, budgetMiB: memory.budgetBytes / MIB, peakRssGrowthMiB: (rssPeak - rssBefore) / MIB,
  diskMiB: diskBytes / MIB, closeMs: closed - closing, reopenMs: reopened - closed, verifyMs: verified - reopened, countMs: countedAt - verified,
  verifyErrors: report.errors.length, counted,
}
if (options.json) {
  console.log(JSON.stringify(result))
} else {
  for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(20)} ${typeof value === 'number' ? Math.round(value * 100) / 100 : typeof value === 'object' ? JSON.stringify(value) : value}`)
}
if (report.errors.length > 0 || counted !== rows) {
  console.error(`expected ${rows} rows and no damage; found ${counted} rows and ${report.errors.length} damaged files`)
  process.exitCode = 1
}

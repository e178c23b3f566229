// What is the compressed second level of the block cache worth? npm run bench:compressed
//
//   node bench/compressed-cache.mjs [--budget 64] [--times 3] [--gets 400000] [--rounds 3] [--dir PARENT] [--warm]
//
// Rows that compress more than threefold, uncompressed `times` as many bytes as the pool of blocks has (what the budget leaves
// to it: 47 of 64 MiB), are read at random: with the second level and without it, in turn, each run a process of its own. Meanwhile the
// page cache of the system is dropped a hundred times a second, so that a miss is a read from the disk. Where that is not allowed, or
// with --warm, the file stays in the page cache, and it is said so.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    budget: { type: 'string', default: '64' }, times: { type: 'string', default: '3' }, gets: { type: 'string', default: '400000' },
    rounds: { type: 'string', default: '3' }, dir: { type: 'string', default: tmpdir() },
    warm: { type: 'boolean', default: false }, store: { type: 'string' }, level: { type: 'string' }, prepare: { type: 'boolean', default: false },
  },
})
const MIB = 1024 * 1024
const ROW_BYTES = 16 + 240
const budgetBytes = Number(options.budget) * MIB
/** What is left of a budget for blocks: the floor of a store with a worker is 11 MiB, another tenth goes to memtables at rest. */
const poolBytes = 0.9 * (budgetBytes - 11.5 * MIB)
const rows = Math.floor(Number(options.times) * poolBytes / ROW_BYTES)
const gets = Number(options.gets)

let isTold = false

let state = 12345
const random = below => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}
const keyOf = row => `row:${String(row).padStart(12, '0')}`
/** An unguessable name of 32 characters, by row. */
function noise(row) {
  let text = ''
  for (let i = 0, x = row + 1; i < 5; i++) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) ^ Math.imul(i + 1, 0x9e3779b9)
    text += (x >>> 0).toString(36)
  }
  return text
}
/** A record: some chance, and the words that all of them share. */
const valueOf = row => `{"id":${row},"name":"${noise(row)}","state":"active","kind":"measurement","unit":"celsius","source":"station","value":${(Math.imul(row, 40503) >>> 0) % 1000},"tags":["outdoor","hourly","verified"],"note":"`.padEnd(238, 'no remarks for this record ') + '"}'

async function open(level) {
  const { Spillway } = await import('spillway')
  return Spillway.open(options.store, { budget: budgetBytes, compressedCache: level !== 'off' })
}

if (options.prepare) {
  const db = await open('on')
  for (let row = 0; row < rows; row += 500) {
    await db.batch(Array.from({ length: Math.min(500, rows - row) }, (_, i) => ({ type: 'put', key: keyOf(row + i), value: valueOf(row + i) })))
  }
  await db.flush()
  await db.compact()
  const { tableBytes } = db.stats()
  await db.close()
  console.log(JSON.stringify({ tableBytes }))
} else if (options.level !== undefined) {
  const db = await open(options.level)
  const half = []
  for (let part = 0; part < 4; part++) {
    const started = performance.now()
    for (let i = 0; i < gets / 4; i++) {
      const row = random(rows)
      if (db.getSync(keyOf(row)) !== valueOf(row)) throw new Error(`row ${row} is not what was written`)
      if (i % 256 === 0) await new Promise(resolve => { setImmediate(resolve) })
    }
    half.push(gets / 4 / (performance.now() - started) * 1000)
  }
  const { cache } = db.stats()
  const { highWaterBytes } = db.memory()
  await db.close()
  // The last quarter: by then the levels have found their sizes.
  console.log(JSON.stringify({ perSecond: half.at(-1), parts: half.map(Math.round), cache, highWaterBytes }))
} else {
  await compare()
}

function child(...more) {
  const args = [fileURLToPath(import.meta.url), ...more, '--budget', options.budget, '--times', options.times, '--gets', options.gets]
  const isRun = !more.includes('--prepare')
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const dropping = isRun && !options.warm ? setInterval(dropPageCache, 10) : undefined
    let text = ''
    running.stdout.setEncoding('utf8').on('data', more => { text += more })
    running.on('close', code => {
      clearInterval(dropping)
      if (code === 0) resolve(JSON.parse(text))
      else reject(new Error(`a run ended with ${code}`))
    })
  })
}

function dropPageCache() {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1')
  } catch (error) {
    if (!isTold) console.log(`The file stays in the page cache of the system: ${error.message}`)
    isTold = true
  }
}

async function compare() {
  const parent = mkdtempSync(join(options.dir, 'spillway-compressed-'))
  process.on('exit', () => rmSync(parent, { recursive: true, force: true }))
  const store = join(parent, 'store')
  const { tableBytes } = await child('--prepare', '--store', store)
  spawnSync('sync')
  console.log(`${rows} rows, ${(rows * ROW_BYTES / MIB).toFixed(0)} MiB, stored in ${(tableBytes / MIB).toFixed(0)} MiB (${(rows * ROW_BYTES / tableBytes).toFixed(1)} x); budget ${options.budget} MiB, pool ${(poolBytes / MIB).toFixed(0)} MiB`)
  const rates = { on: [], off: [] }
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const level of round % 2 === 0 ? ['on', 'off'] : ['off', 'on']) {
      const { perSecond, parts, cache, highWaterBytes } = await child('--store', store, '--level', level)
      rates[level].push(perSecond)
      const { compressed } = cache
      console.log(`${level.padEnd(3)} ${Math.round(perSecond)} gets/s (by quarters ${parts.join(', ')}); second level ${(compressed.bytes / MIB).toFixed(1)} MiB, ` +
        `${compressed.hits} hits, ${compressed.reads} reads, read ${compressed.readUs.toFixed(0)} us, load ${compressed.loadUs.toFixed(1)} us; ledger peak ${(highWaterBytes / MIB).toFixed(1)} MiB`)
    }
  }
  const median = list => [...list].sort((a, b) => a - b)[list.length >> 1]
  console.log(`with the second level ${(median(rates.on) / median(rates.off)).toFixed(1)} x as fast (medians of ${options.rounds})`)
}

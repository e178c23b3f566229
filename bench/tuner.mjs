// Is the boundary between write memory and read cache better moved than fixed? npm run bench:tuner
//
//   node bench/tuner.mjs [--quick] [--loads phases,serve,writes,reads,mixed] [--splits 0.08,0.15,0.25,0.4,0.6,tuned] [--rounds 3]
//                        [--rows 5500000] [--scale 1] [--budget "64 MiB"] [--compaction tiered|leveled]
//                        [--dir PARENT] [--template PATH] [--module ../dist/index.js] [--json]
//
// Every load is a fixed number of operations from a fixed seed, so the time it takes is the measure. Every run is a process of
// its own on a copy of the same store; rounds go through the splits in alternating order, and medians are printed.
//
// Seconds of the clock hold what else the machine did meanwhile. Seconds of CPU, of all threads of the process, hold flushes
// and merges in full, also where a second core would have hidden them. Files are in the page cache: a block that is missed
// costs its decompression and checks (about 10 us), so CPU stands for I/O, and a device would make more of every miss and every
// merge. So I/O is counted too, as the tuner does: bytes flushed, merged (read and written) and missed (4 KiB a block); it
// depends least on the machine.
//
// Phases here last some 10 seconds, which is short: those of real loads last minutes, and what a move costs is paid once a phase.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    loads: { type: 'string', default: 'phases,serve,writes,reads,mixed' },
    splits: { type: 'string', default: '0.08,0.15,0.25,0.4,0.6,tuned' },
    rounds: { type: 'string' },
    rows: { type: 'string' },
    scale: { type: 'string' },
    budget: { type: 'string', default: '64 MiB' },
    dir: { type: 'string', default: tmpdir() },
    // A store with these rows, made there if it is not there yet and then kept.
    template: { type: 'string' },
    module: { type: 'string', default: '../dist/index.js' },
    compaction: { type: 'string', default: 'tiered' },
    json: { type: 'boolean', default: false },
    // Of one run, given by the process that starts it.
    load: { type: 'string' },
    split: { type: 'string' },
    store: { type: 'string' },
  },
})
const rows = Number(options.rows ?? (options.quick ? 2_000_000 : 5_500_000))
const scale = Number(options.scale ?? (options.quick ? 0.25 : 1))
const MIB = 1024 * 1024
const KEY_BYTES = 16
const VALUE_BYTES = 100
const BATCH = 500
/** Rows of 36 and 40 MiB: what 64 MiB can cache only while memtables are small. */
const rowsOf = bytes => Math.floor(bytes / (KEY_BYTES + VALUE_BYTES))
const HOT_ROWS = rowsOf(36 * MIB)
const SERVED_ROWS = rowsOf(40 * MIB)

/** What a load does: steps of a phase are batches of writes and runs of gets. */
const LOADS = {
  phases: {
    text: '3 x (overwrites of all rows in batches, then skewed gets from 36 MiB of them)',
    phases: Array.from({ length: 6 }, (_, i) => i % 2 === 0
      ? { name: 'write', steps: 6000, writes: 1, gets: 0 }
      : { name: 'read', steps: 5000, writes: 0, gets: 500, where: 'hot' }),
  },
  serve: {
    text: '3 x (overwrites of all rows in batches, compact outside the time, then gets from 40 MiB of them, little skewed)',
    phases: Array.from({ length: 6 }, (_, i) => i % 2 === 0
      ? { name: 'write', steps: 6000, writes: 1, gets: 0, compacts: true }
      : { name: 'read', steps: 5000, writes: 0, gets: 500, where: 'served' }),
  },
  writes: {
    text: 'overwrites of all rows in batches of 500',
    phases: [{ name: 'write', steps: 12000, writes: 1, gets: 0 }],
  },
  reads: {
    text: '95 % gets skewed over all rows, 5 % overwrites',
    phases: [{ name: 'mix', steps: 240, writes: 1, gets: 9500, where: 'all' }],
  },
  mixed: {
    text: '50 % gets skewed over all rows, 50 % overwrites',
    phases: [{ name: 'mix', steps: 6000, writes: 1, gets: 500, where: 'all' }],
  },
}

let state = 0x2545f491
function random32() {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return state >>> 0
}
const random = () => random32() / 2 ** 32

const key = Buffer.alloc(KEY_BYTES, 'key-')
const keyOf = (buffer, row) => buffer.writeUIntBE(row, 8, 6)
const operations = Array.from({ length: BATCH }, () => ({
  type: 'put', key: Buffer.alloc(KEY_BYTES, 'key-'), value: Buffer.alloc(VALUE_BYTES, 'spillway '),
}))

function fillBatch(rowOf) {
  for (let i = 0; i < BATCH; i++) {
    const operation = operations[i]
    keyOf(operation.key, rowOf(i))
    for (let at = 0; at < VALUE_BYTES / 2; at += 4) operation.value.writeUInt32LE(random32(), at)
  }
  return operations
}
const anyRow = () => Math.floor(random() * rows)
/** Half of the gets go to the first quarter of the hot rows, the first 35 % of the served ones, or the first 3 % of all. */
const WHERE = {
  hot: () => Math.floor(HOT_ROWS * random() ** 2),
  served: () => Math.floor(SERVED_ROWS * random() ** 1.5),
  all: () => Math.floor(rows * random() ** 5),
}
const turn = () => new Promise(resolve => { setImmediate(resolve) })

async function open(directory, split) {
  const { Spillway } = await import(options.module)
  return Spillway.open(directory, {
    budget: options.budget, keyEncoding: 'buffer', valueEncoding: 'buffer', compaction: options.compaction,
    ...(split === 'tuned' ? {} : { writeShare: Number(split) }),
  })
}

async function prepare(directory) {
  const db = await open(directory, '0.25')
  for (let row = 0; row < rows; row += BATCH) await db.batch(fillBatch(i => row + i))
  await db.flush()
  await db.compact()
  await db.close()
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** One run, in a process of its own. */
async function run() {
  const db = await open(options.store, options.split)
  const boundary = () => db.stats().governor.tuner
  const phases = []
  let moves = 0
  let seenMs = -1
  const moved = [boundary().writeBytes]
  for (const phase of LOADS[options.load].phases) {
    const clock = performance.now()
    const cpu = cpuSeconds()
    const { hits, misses } = db.stats().cache
    const row = phase.gets > 0 ? WHERE[phase.where] : anyRow
    const steps = Math.ceil(phase.steps * scale)
    for (let step = 0; step < steps; step++) {
      if (phase.writes > 0) await db.batch(fillBatch(anyRow))
      for (let done = 0; done < phase.gets; done += 500) {
        for (let i = 0; i < 500; i++) {
          keyOf(key, row())
          if (db.getSync(key) === undefined) throw new Error(`a row was not found: ${key.toString('hex')}`)
        }
        await turn()
      }
      if (step % 100 === 0) countMoves()
    }
    countMoves()
    const after = db.stats().cache
    phases.push({
      name: phase.name, seconds: (performance.now() - clock) / 1000, cpu: cpuSeconds() - cpu, writeBytes: boundary().writeBytes,
      misses: after.misses - misses, hits: after.hits - hits, cacheBytes: after.bytes, runs: db.stats().runs.length,
    })
    moved.push(boundary().writeBytes)
    // How many runs the merges have left at this moment is chance, and matters more to a get than what is compared here.
    if (phase.compacts) await db.compact()
  }
  function countMoves() {
    for (const { atMs } of boundary().decisions) {
      if (atMs <= seenMs) continue
      seenMs = atMs
      moves++
    }
  }
  const stats = db.stats()
  const { flushBytes, mergeBytes } = stats.written
  console.log(JSON.stringify({
    load: options.load, split: options.split, phases, moves, moved, compaction: options.compaction,
    ioBytes: flushBytes + 2 * mergeBytes + 4096 * phases.reduce((sum, one) => sum + one.misses, 0),
    seconds: phases.reduce((sum, one) => sum + one.seconds, 0),
    cpu: phases.reduce((sum, one) => sum + one.cpu, 0), amplification: stats.written.amplification, stalls: stats.stalls.totalMs, flushes: stats.flushes, merges: stats.merges,
    standing: stats.governor.tuner.standing, decisions: stats.governor.tuner.decisions,
  }))
  await db.close()
}

const median = values => [...values].sort((a, b) => a - b)[values.length >> 1]
const child = (...more) => {
  const passed = ['--rows', String(rows), '--scale', String(scale), '--budget', options.budget, '--compaction', options.compaction, '--module', options.module]
  const { stdout, status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...passed, ...more], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (status !== 0) throw new Error(`a run ended with ${status}`)
  return stdout
}

function compare() {
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
  const splits = options.splits.split(',')
  const parent = mkdtempSync(join(options.dir, 'spillway-tuner-'))
  process.on('exit', () => rmSync(parent, { recursive: true, force: true }))
  process.on('SIGINT', () => process.exit(130))
  const template = options.template ?? join(parent, 'template')
  if (!existsSync(template)) child('--store', template, '--load', 'prepare')
  const loads = options.loads.split(',')
  for (const load of loads) {
    const runs = new Map(splits.map(split => [split, []]))
    for (let round = 0; round < rounds; round++) {
      for (const split of round % 2 === 0 ? splits : [...splits].reverse()) {
        const store = join(parent, 'store')
        if (existsSync(store)) rmSync(store, { recursive: true })
        cpSync(template, store, { recursive: true })
        const line = child('--store', store, '--load', load, '--split', split)
        if (options.json) process.stdout.write(line)
        else process.stderr.write('.')
        runs.get(split).push(JSON.parse(line))
      }
    }
    print(load, runs)
  }
}

function print(load, runs) {
  const NAMES = ['cpu', 'seconds', 'ioBytes']
  const figures = [...runs].map(([split, list]) => ({ split, list, ...Object.fromEntries(NAMES.map(name => [name, median(list.map(one => one[name]))])) }))
  const best = name => Math.min(...figures.filter(({ split }) => split !== 'tuned').map(one => one[name]))
  const number = (value, digits, width) => value.toFixed(digits).padStart(width)
  console.log(`\n${load}: ${LOADS[load].text}; ${rows} rows of ${KEY_BYTES + VALUE_BYTES} bytes, ${options.budget}, ${options.compaction}, median of ${figures[0].list.length}`)
  console.log('split     CPU s ratio   clock s ratio   I/O GiB ratio   of each phase CPU s (k misses); boundary at their ends (MiB of write memory)')
  for (const { split, list, ...values } of figures) {
    const one = [...list].sort((a, b) => a.cpu - b.cpu)[list.length >> 1]
    const cells = NAMES.map(name => number(name === 'ioBytes' ? values[name] / 2 ** 30 : values[name], 1, 7) + number(values[name] / best(name), 2, 6))
    const each = one.phases.map(phase => `${phase.cpu.toFixed(1)}${phase.misses > 0 ? ` (${Math.round(phase.misses / 1000)})` : ''}`).join(' ')
    const where = split === 'tuned' ? `; ${one.moved.map(bytes => (bytes / MIB).toFixed(0)).join(' > ')} in ${one.moves} moves` : ''
    console.log(`${split.padEnd(7)} ${cells.join('   ')}   ${each}${where}`)
  }
}

if (options.load === 'prepare') await prepare(options.store)
else if (options.load !== undefined) await run()
else compare()

// How fast is a store, beside the others for Node.js and beside RocksDB from C++? npm run bench
//
//   node bench/main.mjs [--rounds 3] [--stores spillway,lmdb] [--workloads put-,ycsb-] [--rows 1e6] [--scale 1] [--budget 64]
//                       [--node PATH] [--out bench/results] [--dir PARENT] [--report]
//
// Keys of 16 bytes in random order, values of 100 bytes, about half compressible; every store is given the same Buffers, and gives
// Buffers that the caller may keep. `--scale 0.02` is for a quick look and writes nothing to bench/results. `--node` runs the stores
// in another node. `--report` only makes the report of the raw lines again. Workloads (`--workloads` takes beginnings of names):
//
//   put-N           awaited puts of new rows by N writers at once; -1k: values of 1 KiB
//   batch-N         batches of N; -2gb: 18 M rows, and the time until all background work is done counts
//   overwrite-16    random puts over a loaded store, 16 writers
//   durable-N       puts that are synced before they are acknowledged, for 5 s
//   get-hot-*       100 000 of 1 M rows at random, read once before; synchronous or awaited
//   get-missing-*   keys that are not there
//   scan-full       every entry of 1 M; scan-100: 100 entries from a random key on (counted in scans)
//   ycsb-a to -f    1 M rows, Zipfian 0.99, one client
//   delete-90       the lowest 90 % of the keys are deleted in key order; then the first key is asked for
//   fill-capped     1 KiB puts by 16 writers for 40 s in a cgroup of 256 MiB, page cache included
//   cold-get-N      gets by N readers from 1.5 M rows of 1 KiB in such a cgroup, with nothing in the page cache
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installPeers } from './memory/peers.mjs'
import { aboutRun } from './speed/about.mjs'
import { MIB, OURS, ROCKSDB, chosen, groupsOf } from './speed/plan.mjs'
import { RawResults, writeReport } from './speed/output.mjs'
import { killRunning, runGroup, runProgram } from './speed/runner.mjs'

const PROBE = fileURLToPath(new URL('./speed/probe.mjs', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results', import.meta.url))
const MEMORY_FILE_SYSTEMS = [0x01021994, 0x858458f6]

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    stores: { type: 'string', multiple: true, default: [] },
    workloads: { type: 'string', multiple: true, default: [] },
    rows: { type: 'string', default: '1e6' },
    scale: { type: 'string', default: '1' },
    budget: { type: 'string', default: '64' },
    node: { type: 'string', default: process.execPath },
    out: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    report: { type: 'boolean', default: false },
  },
})
const rounds = positive('rounds')
const rows = positive('rows')
const scale = positive('scale')
const budgetMiB = positive('budget')
const askedStores = options.stores.flatMap(names => names.split(','))
const groups = chosen(groupsOf({ rows, scale }), options.workloads.flatMap(names => names.split(',')))
if (groups.length === 0) fail(`no workload begins with ${options.workloads.join(', ')}`)
const plan = groupsOf({ rows, scale }).flatMap(group => group.workloads.map(workload => ({ ...workload, program: group.program })))
const nodeVersion = outputOf(options.node, ['--version']).trim()

const directory = mkdtempSync(join(options.dir, 'spillway-speed-'))
process.on('exit', () => {
  killRunning()
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const isFullSize = scale === 1 && rows === 1e6
const out = options.out ?? (isFullSize ? RESULTS : join(directory, 'results'))
if (!options.report) await measureAll()
console.log(`\n${await writeReport(out, plan, nodeVersion)}`)

async function measureAll() {
  const started = performance.now()
  const peers = await loadablePeers()
  const rocksdb = isAsked(ROCKSDB) ? await prepareRocksdb() : undefined
  const stores = [OURS, ...peers].filter(isAsked)
  const all = rocksdb === undefined ? stores : [...stores, ROCKSDB]
  if (all.length === 0) fail(`there is no store ${askedStores.join(', ')} to run`)
  const raw = new RawResults(out, nodeVersion)
  raw.begin(
    aboutRun({
      nodeVersion, stores, budgetMiB, rows: rows * scale, rounds, fileSystem: fileSystemOf(options.dir), rocksdbVersion: rocksdb?.version,
    }),
    groups.flatMap(group => group.workloads.map(({ name }) => name)), [...all, 'limit'],
  )
  for (const line of await machineLimits()) note(raw, line)

  const kept = new Set()
  for (let round = 1; round <= rounds; round++) {
    for (const group of groups) {
      if (round > (group.mostRounds ?? rounds)) continue
      // The first comes last in the next round.
      for (let turn = 0; turn < all.length; turn++) {
        const store = all[(turn + round - 1) % all.length]
        for (const line of await linesOf(group, store, rocksdb, kept)) note(raw, { round, store, ...line, budgetMiB: group.budgetMiB ?? budgetMiB })
      }
    }
  }
  console.log(`\n${Math.round((performance.now() - started) / 1000)} s in all.`)
}

/** A group that fails is told and left out: the others go on. */
async function linesOf(group, store, rocksdb, kept) {
  try {
    if (store === ROCKSDB) return await rocksdbLines(group, rocksdb.program)
    return await runGroup(group, store, { node: options.node, parent: directory, budgetBytes: (group.budgetMiB ?? budgetMiB) * MIB, kept })
  } catch (error) {
    console.log(`${group.name} with ${store} did not end: ${error.message}`)
    process.exitCode = 1
    return error.lines ?? []
  }
}

async function rocksdbLines(group, program) {
  const lines = []
  // It knows no cgroup, and no store that another process has loaded.
  if (group.capBytes !== undefined) return lines
  for (const { name, rows: count, valueBytes, limitSeconds } of group.workloads) {
    const path = mkdtempSync(join(directory, 'rocksdb-'))
    try {
      const args = [name, path, String(count === Infinity ? 1e9 : count), String(valueBytes), String(limitSeconds)]
      const line = await runProgram(program, args)
      if (line !== undefined) lines.push({ ...line, perSecond: line.perSecond && Math.round(line.perSecond) })
    } catch (error) {
      throw Object.assign(error, { lines })
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  }
  return lines
}

function note(raw, line) {
  raw.add(line)
  const { round, store, workload, perSecond, p999us, maxMs, firstMs, note: remark, ...rest } = line
  const rate = perSecond === undefined ? '' : `${String(perSecond).padStart(9)}/s`
  const latency = maxMs === undefined ? '' : `p99.9 ${p999us} us, worst ${maxMs} ms`
  const more = [latency, firstMs === undefined ? '' : `first ${firstMs} ms`, remark ?? '', store === 'limit' ? JSON.stringify(rest) : '']
  console.log(`${round ?? '-'} ${workload.padEnd(18)} ${store.padEnd(15)} ${rate}  ${more.filter(text => text !== '').join('; ')}`)
}

async function loadablePeers() {
  const wanted = await installPeers(options.node === process.execPath ? console.log : () => {})
  if (options.node === process.execPath) return wanted
  const found = JSON.parse(outputOf(options.node, [PROBE]))
  for (const { name, problem } of found) if (problem !== undefined) console.log(`${name} is skipped: ${problem}`)
  return found.filter(({ problem }) => problem === undefined).map(({ name }) => name)
}

async function prepareRocksdb() {
  const module = await optional('./rocksdb/rocksdb.mjs')
  return module?.prepare(console.log)
}

async function machineLimits() {
  if (askedStores.length > 0 || options.workloads.length > 0) return []
  const module = await optional('./speed/limits.mjs')
  return module === undefined ? [] : module.measureLimits(directory)
}

async function optional(path) {
  try {
    return await import(path)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    console.log(`Skipped: ${path} is not there`)
    return undefined
  }
}

function fileSystemOf(path) {
  if (!MEMORY_FILE_SYSTEMS.includes(statfsSync(path).type)) return undefined
  console.log(`${path} is in memory: durable and cold workloads say nothing there; --dir takes another place`)
  return 'files in memory'
}

function isAsked(store) {
  return askedStores.length === 0 || askedStores.includes(store)
}

function outputOf(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) fail(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}

function positive(name) {
  const value = Number(options[name])
  if (!(value > 0)) fail(`--${name} takes a positive number, not ${options[name]}`)
  return value
}

function fail(message) {
  console.error(message)
  process.exit(2)
}

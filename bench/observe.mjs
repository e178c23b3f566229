// What observing costs and finds: overhead of the profiler, time of a snapshot, accuracy of leaks.
//   npm run bench:observe
//   node bench/observe.mjs --pairs 500
// The targets are those of the specification of the memory toolkit.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { nodeRuntime } from '../dist/host/node/node-runtime.js'
import { SimRuntime } from '../dist/host/sim/sim-runtime.js'
import { Budget, Spillway } from '../dist/index.js'
import { GcMonitor, Profiler } from '../dist/observe/index.js'

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '2000' } } })
const PAIRS = Number(values.pairs)
const SLICE = 2000
const LEAKS = 100
const HOUR_S = 3600

const root = mkdtempSync(join(tmpdir(), 'spillway-observe-'))
const results = []
try {
  const budget = new Budget('64 MiB')
  const db = await Spillway.open(join(root, 'store'), { budget })
  for (let i = 0; i < 200_000; i++) db.putSync(`key ${String(i).padStart(9, '0')}`, `value ${i} ${'x'.repeat(80)}`)
  await db.flush()
  await overhead(db, budget)
  await snapshots(db)
  await leaks(db)
  await db.close()
} finally {
  rmSync(root, { recursive: true, force: true })
}
const width = Math.max(...results.map(([name]) => name.length))
for (const [name, measured, target] of results) console.log(`${name.padEnd(width)}  ${measured}${target === undefined ? '' : `  (target ${target})`}`)

/** Gets, scans of 100 entries, snapshots and transactions, as a service makes them; no writes, whose merges come at any time. */
async function turn(db, seed, operations) {
  let random = seed * 7919 + 1
  const key = () => {
    random = Math.imul(random, 1664525) + 1013904223 >>> 0
    return `key ${String(random % 200_000).padStart(9, '0')}`
  }
  for (let i = 0; i < operations; i++) {
    db.getSync(key())
    if (i % 100 === 0) await db.iterator({ gte: key(), limit: 100 }).all()
    if (i % 1000 === 0) {
      const snapshot = db.snapshot()
      await db.get(key(), { snapshot })
      snapshot.close()
      await db.transaction(async transaction => { await transaction.get(key()) })
    }
    // As between requests.
    if (i % 2000 === 0) await new Promise(resolve => setImmediate(resolve))
  }
}

/** Milliseconds of processor time of this thread, or where they are not told, of the clock. */
function spentMs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

/**
 * Other programs on the machine change its speed by more than the profiler costs. So the part that works in the program's calls, the list
 * of handles, is taken away and given back every few milliseconds, many times, and what else it does is timed by itself.
 */
async function overhead(db, budget) {
  for (let i = 0; i < 50; i++) await turn(db, i, SLICE)
  // Handles are listed half of the time, so its second lasts two: places are looked up as often as when they are listed all the time.
  const runtime = { ...nodeRuntime, clock: { nowMs: () => performance.now() / 2, wallMs: () => Date.now() } }
  const profiler = new Profiler({ sources: [db], runtime })
  results.push(['how far the next line can be trusted: nothing by nothing', `${percent(await pairs(db, () => {}))} of processor time`])
  profiler.start()
  const { handles } = budget
  const calls = await pairs(db, isOn => { budget.handles = isOn ? handles : undefined })
  budget.handles = handles
  const sampleMs = timed(() => profiler.sample(), 2000)
  profiler.stop()
  results.push([`profiler: in calls, ${PAIRS} pairs of ${SLICE} operations`, `${percent(calls)} of processor time`])
  results.push(['profiler: a sample, one a second', `${(sampleMs * 1000).toFixed(0)} us, ${percent(sampleMs / 1000)}`])
  results.push(['profiler in all', percent(Math.max(0, calls) + sampleMs / 1000), '< 2 %'])
  const monitor = new GcMonitor()
  monitor.start()
  const startMs = performance.now()
  let lookMs = 0
  for (let i = 0; i < 100; i++) {
    await turn(db, i, 10 * SLICE)
    if (i % 5 !== 4) continue
    const lookStartMs = performance.now()
    monitor.report()
    lookMs += performance.now() - lookStartMs
  }
  const { counts, window } = monitor.report()
  monitor.stop()
  results.push(['GC monitor: reports of its collections, one in each 50 turns', `${percent(lookMs / (performance.now() - startMs))} of the time, ${counts.young + counts.old} collections, ${window.young.perMinute.toFixed(0)} a minute`, '< 2 %'])
}

/** Time with by time without, less 1, from short slices in turn; the slowest and fastest 2 % are left out. */
async function pairs(db, set) {
  const spent = { true: [], false: [] }
  for (let i = 0; i < PAIRS; i++) {
    for (const isOn of i % 2 === 0 ? [false, true] : [true, false]) {
      set(isOn)
      const startMs = spentMs()
      await turn(db, i, SLICE)
      spent[isOn].push(spentMs() - startMs)
    }
  }
  const [on, off] = [spent.true, spent.false].map(times => times.sort((a, b) => a - b).slice(PAIRS * 0.02, PAIRS * 0.98).reduce((sum, ms) => sum + ms, 0))
  return on / off - 1
}

function timed(work, times) {
  const startMs = performance.now()
  for (let i = 0; i < times; i++) work()
  return (performance.now() - startMs) / times
}

function percent(share) { return `${(100 * share).toFixed(2)} %` }

async function snapshots(db) {
  for (const hotSpots of [false, true]) {
    const profiler = new Profiler({ sources: [db], hotSpots })
    profiler.start()
    for (let i = 0; i < 600; i++) profiler.sample()
    const open = Array.from({ length: 2000 }, (_, i) => i % 2 === 0 ? db.snapshot() : db.iterator())
    await turn(db, 1, 20_000)
    const times = Array.from({ length: 50 }, () => {
      const startMs = performance.now()
      profiler.snapshot()
      return performance.now() - startMs
    })
    results.push([`snapshot, 600 samples, 2000 open handles${hotSpots ? ', hot spots' : ''}`, `${median(times).toFixed(1)} ms, longest ${Math.max(...times).toFixed(1)} ms`, '< 100 ms'])
    for (const handle of open) await handle.close()
    profiler.stop()
  }
}

/** Time is simulated; the store is real. */
async function leaks(db) {
  const runtime = new SimRuntime()
  const profiler = new Profiler({ sources: [db], runtime })
  profiler.start()
  await hourOf(db, runtime)
  const clean = profiler.leaks(Infinity)
  results.push(['an hour of clean simulated time', `${clean.leaked} leaks reported, ${clean.open} handles open`, '0'])
  const { plant, lineOf } = await planted()
  const kept = []
  for (let i = 0; i < LEAKS; i++) {
    kept.push(await plant[i](db))
    await second(db, runtime)
  }
  for (let i = 0; i < 300; i++) await second(db, runtime)
  const { leaks: found } = profiler.leaks(Infinity)
  const right = Array.from({ length: LEAKS }, (_, i) => found.some(({ site, count, confidence }) => count === 1 && confidence === 1 && site.includes(`planted.mjs:${lineOf(i)}:`)))
  const wrong = found.filter(({ site }) => !site.includes('planted.mjs')).length
  results.push([`${LEAKS} planted leaks in ${LEAKS} places`, `${right.filter(Boolean).length} found with the right site, ${wrong} others reported`, '>= 95'])
  for (const handle of kept) await ('abort' in handle ? handle.abort() : handle.close())
  profiler.stop()
}

async function hourOf(db, runtime) {
  for (let i = 0; i < HOUR_S; i++) await second(db, runtime)
}

async function second(db, runtime) {
  for (let i = 0; i < 20; i++) await db.iterator({ limit: 10 }).all()
  const snapshot = db.snapshot()
  await db.get('key 000000001', { snapshot })
  snapshot.close()
  await db.transaction(async transaction => { await transaction.get('key 000000002') })
  runtime.clock.advance(1000)
}

/** A module with a place for each leak, of three kinds. */
async function planted() {
  const bodies = ['async db => { const it = db.iterator(); await it.next(); return it }', 'async db => db.snapshot()', 'async db => { const tx = await db.begin(); await tx.get("a"); return tx }']
  const file = join(root, 'planted.mjs')
  writeFileSync(file, `export const plant = [\n${Array.from({ length: LEAKS }, (_, i) => `  ${bodies[i % 3]},`).join('\n')}\n]\n`)
  const { plant } = await import(pathToFileURL(file).href)
  return { plant, lineOf: i => i + 2 }
}

function median(list) {
  return [...list].sort((a, b) => a - b)[list.length >> 1]
}

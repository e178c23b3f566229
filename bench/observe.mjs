// What observing costs and finds: overhead of the profiler, time of a snapshot, accuracy of leaks.
//   npm run bench:observe
//   node bench/observe.mjs --rounds 5 --operations 100000
// Overhead is measured in one process, in short turns with and without, of which the medians are compared; the targets are those of the
// specification of the memory toolkit.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { SimRuntime } from '../dist/host/sim/sim-runtime.js'
import { Spillway } from '../dist/index.js'
import { GcMonitor, MemoryOptimizer, Profiler } from '../dist/observe/index.js'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '21' }, operations: { type: 'string', default: '40000' } } })
const ROUNDS = Number(values.rounds)
const OPERATIONS = Number(values.operations)
const LEAKS = 100
const HOUR_S = 3600

const root = mkdtempSync(join(tmpdir(), 'spillway-observe-'))
const results = []
try {
  const db = await Spillway.open(join(root, 'store'), { budget: '64 MiB' })
  for (let i = 0; i < 200_000; i++) db.putSync(`key ${String(i).padStart(9, '0')}`, `value ${i} ${'x'.repeat(80)}`)
  await db.flush()
  await overhead(db)
  await snapshots(db)
  await leaks(db)
  await db.close()
} finally {
  rmSync(root, { recursive: true, force: true })
}
const width = Math.max(...results.map(([name]) => name.length))
for (const [name, measured, target] of results) console.log(`${name.padEnd(width)}  ${measured}${target === undefined ? '' : `  (target ${target})`}`)

/** Puts, gets, scans of 100 entries, snapshots and transactions, as a service makes them. */
async function turn(db, seed) {
  let random = seed * 7919 + 1
  const key = () => {
    random = Math.imul(random, 1664525) + 1013904223 >>> 0
    return `key ${String(random % 200_000).padStart(9, '0')}`
  }
  const startMs = performance.now()
  for (let i = 0; i < OPERATIONS; i++) {
    if (i % 4 === 0) db.putSync(key(), `value ${i}`)
    else db.getSync(key())
    if (i % 100 === 0) await db.iterator({ gte: key(), limit: 100 }).all()
    if (i % 1000 === 0) {
      const snapshot = db.snapshot()
      await db.get(key(), { snapshot })
      snapshot.close()
      await db.transaction(async transaction => { await transaction.put(key(), 'in a transaction') })
    }
  }
  return performance.now() - startMs
}

async function overhead(db) {
  const kinds = {
    'profiler': () => new Profiler({ sources: [db] }),
    'profiler with hot spots': () => new Profiler({ sources: [db], hotSpots: true }),
    'GC monitor': () => new GcMonitor(),
    'MemoryOptimizer (both)': () => new MemoryOptimizer({ sources: [db], gcTuning: false }),
  }
  for (let i = 0; i < 5; i++) await turn(db, i)
  for (const [name, make] of Object.entries(kinds)) {
    const ratios = []
    for (let round = 0; round < ROUNDS; round++) {
      const times = {}
      // Which comes first alternates, so that what grows over time does not count.
      for (const isOn of round % 2 === 0 ? [false, true] : [true, false]) {
        const part = isOn ? make() : undefined
        part?.start()
        times[isOn] = await turn(db, round)
        part?.[Symbol.dispose]()
      }
      ratios.push(times.true / times.false - 1)
    }
    results.push([`overhead of ${name}`, `${(100 * median(ratios)).toFixed(2)} % (median of ${ROUNDS} pairs, quartiles ${quartiles(ratios)})`, name.includes('hot') ? undefined : '< 2 %'])
  }
}

async function snapshots(db) {
  for (const hotSpots of [false, true]) {
    const profiler = new Profiler({ sources: [db], hotSpots })
    profiler.start()
    for (let i = 0; i < 600; i++) profiler.sample()
    const open = Array.from({ length: 2000 }, (_, i) => i % 2 === 0 ? db.snapshot() : db.iterator())
    await turn(db, 1)
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

function quartiles(list) {
  const sorted = [...list].sort((a, b) => a - b)
  return [0.25, 0.75].map(share => `${(100 * sorted[Math.floor(share * (sorted.length - 1))]).toFixed(2)} %`).join(' to ')
}

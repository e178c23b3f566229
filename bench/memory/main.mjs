// Does a store's memory stay inside its budget? npm run bench:memory
//
//   node bench/memory/main.mjs [--case fill,flood] [--budget 16,64,256] [--quick] [--peers] [--json FILE] [--dir PARENT]
//
// Every case runs in a process of its own, whose peak RSS is read from outside, threads included: once with a store of each
// budget, and once with a store that does nothing, so that what the program itself needs is known. The excess of the one over
// the other must stay within 1.1 x budget + 16 MiB, and the ledger within the budget at every sample. Exit code 1 if not.
//
// V8 grows its young generation (two semi-spaces of up to 16 MiB) with what survives in it: beside a store it would often be of
// full size, beside one that does nothing small. It is the program's own, so both programs have it in full size from the start
// (`--min-semi-space-size=16`, which is the default maximum) and touch all of it before they begin. The child clears the flag before
// a store is opened, so that the store's worker thread is what it is in any program. The code of the store, which the other run does not load, counts as its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Cgroup } from './cgroup.mjs'
import { installPeers } from './peers.mjs'
import { BUDGETS_MIB, CASES, CGROUP, MIB, PROGRAMS, THROUGHPUT, barBytes, shortcomings, throughputRows } from './plan.mjs'
import { killRunning, runChild } from './runner.mjs'
import { formatBroken, formatRow, formatTable } from './table.mjs'

const TIMEOUT_MS = 15 * 60 * 1000
const NODE_FLAGS = ['--min-semi-space-size=16']

const { values: options } = parseArgs({
  options: {
    case: { type: 'string', multiple: true, default: [] },
    budget: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    json: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const { quick } = options
const asked = options.case.flatMap(names => names.split(','))
for (const name of asked) if (!CASES.includes(name)) fail(`there is no case ${name}; there are ${CASES.join(', ')}`)
const budgets = options.budget.length === 0 ? BUDGETS_MIB : options.budget.flatMap(sizes => sizes.split(',').map(Number))
for (const budget of budgets) if (!(budget >= 1)) fail(`--budget takes whole MiB, such as ${BUDGETS_MIB.join(',')}`)

const directory = mkdtempSync(join(options.dir, 'spillway-memory-'))
process.on('exit', () => {
  killRunning()
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const rows = []
const skipped = []
const baselines = new Map()
const started = performance.now()
const peers = options.peers ? await installPeers(console.log) : []

for (const [name, program] of Object.entries(PROGRAMS)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  for (const budget of budgets) {
    const budgetBytes = budget * MIB
    const volume = program.volume({ budgetBytes, quick })
    const baseline = await baselineOf(name, volume, budgetBytes)
    judge(name, budgetBytes, await run(name, 'spillway', budgetBytes, volume), baseline)
    if (!program.peers) continue
    for (const peer of peers) compare(name, peer, budgetBytes, await run(name, peer, budgetBytes, volume), baseline)
  }
}
// These have budgets of their own.
if (asked.includes(CGROUP.name) || (asked.length === 0 && options.budget.length === 0)) await fillInCgroup()
if (asked.includes(THROUGHPUT.name) || (asked.length === 0 && options.budget.length === 0)) await throughput()

const broken = rows.filter(row => row.verdict === 'BROKEN')
console.log(`\n${formatTable(rows)}\n`)
const machine = `${process.platform}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / MIB)} MiB of RAM`
console.log(`Sizes in MiB. Node ${process.version}, ${machine}; ${Math.round((performance.now() - started) / 1000)} s in all.`)
for (const message of skipped) console.log(`Skipped: ${message}`)
for (const row of broken) console.log(`\n${formatBroken(row)}`)
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ node: process.version, platform: process.platform, quick, rows, skipped }, undefined, 2)}\n`)
}
process.exitCode = broken.length > 0 ? 1 : 0

function run(program, subject, budgetBytes, volume, cgroup) {
  return runChild({ program, subject, budgetBytes, volume, directory, timeoutMs: TIMEOUT_MS, nodeFlags: NODE_FLAGS, cgroup })
}

/** Peak of the same program with the store that does nothing. It knows no budget: programs of one volume are one run. */
async function baselineOf(program, volume, budgetBytes) {
  const key = `${program} ${JSON.stringify(volume)}`
  let baseline = baselines.get(key)
  if (baseline === undefined) {
    baseline = await run(program, 'noop', budgetBytes, volume)
    if (baseline.error !== undefined) throw new Error(`${program} does not run without a store: ${baseline.error}`)
    baselines.set(key, baseline)
  }
  return baseline
}

function judge(name, budgetBytes, result, baseline, report = result.report, more = []) {
  const excessBytes = result.peak.bytes - baseline.peak.bytes
  const why = [...shortcomings(result, excessBytes, budgetBytes), ...more]
  note({
    case: name, subject: 'spillway', budgetBytes, peakBytes: result.peak.bytes, baselineBytes: baseline.peak.bytes, excessBytes,
    barBytes: barBytes(budgetBytes), ledgerPeakBytes: result.watch?.highWaterBytes, verdict: why.length > 0 ? 'BROKEN' : 'ok',
    seconds: result.seconds, baselineSeconds: baseline.seconds, broken: why, error: result.error, report, watch: result.watch,
    peak: result.peak,
    atPeak: result.atPeak, baselineAtPeak: baseline.atPeak,
  })
}

/** A peer is shown, not judged. */
function compare(name, subject, budgetBytes, result, baseline) {
  if (result.error !== undefined) {
    return skip(`${name} with ${subject} at ${budgetBytes / MIB} MiB: ${result.error.split('\n')[0]}`)
  }
  note({
    case: name, subject, budgetBytes, peakBytes: result.peak.bytes, baselineBytes: baseline.peak.bytes,
    excessBytes: result.peak.bytes - baseline.peak.bytes, verdict: '-', seconds: result.seconds, report: result.report,
    peak: result.peak,
  })
}

async function fillInCgroup() {
  const { name, budgetBytes, limitBytes } = CGROUP
  const volume = PROGRAMS.fill.volume({ budgetBytes, quick })
  let cgroup
  try {
    cgroup = new Cgroup(limitBytes)
  } catch (error) {
    return skip(`${name}: ${error.message}`)
  }
  try {
    const result = await run('fill', 'spillway', budgetBytes, volume, cgroup)
    const { peakBytes, oomKills } = cgroup.read()
    const killed = oomKills > 0 ? [`the kernel killed ${oomKills} processes of the group`] : []
    judge(name, budgetBytes, result, await baselineOf('fill', volume, budgetBytes), {
      ...result.report, groupPeakBytes: peakBytes, groupLimitBytes: limitBytes, oomKills,
    }, killed)
  } finally {
    cgroup.remove()
  }
}

async function throughput() {
  const { name, smallBytes, largeBytes, runs, leastRatio } = THROUGHPUT
  const volume = { rows: throughputRows(quick) }
  const rates = { [smallBytes]: [], [largeBytes]: [] }
  const last = {}
  // In turn, so that what else the machine does meets both.
  for (let n = 0; n < runs; n++) {
    for (const budgetBytes of [smallBytes, largeBytes]) {
      const result = last[budgetBytes] = await run('fill', 'spillway', budgetBytes, volume)
      if (result.error === undefined) rates[budgetBytes].push(result.report.rowsPerSecond)
    }
  }
  const small = median(rates[smallBytes])
  const large = median(rates[largeBytes])
  for (const budgetBytes of [smallBytes, largeBytes]) {
    const result = last[budgetBytes]
    const why = shortcomings(result, undefined, budgetBytes)
    if (budgetBytes === smallBytes && small / large < leastRatio) {
      why.push(`${small} rows/s, ${(small / large).toFixed(2)} of ${large} at ${largeBytes / MIB} MiB; the bar is ${leastRatio}`)
    }
    note({
      case: name, subject: 'spillway', budgetBytes, peakBytes: result.peak.bytes, ledgerPeakBytes: result.watch?.highWaterBytes,
      verdict: why.length > 0 ? 'BROKEN' : 'ok', seconds: result.seconds, broken: why,
      report: { rows: volume.rows, rowsPerSecond: median(rates[budgetBytes]), runs: rates[budgetBytes].join(' / ') },
    })
  }
}

function note(row) {
  rows.push(row)
  console.log(formatRow(row))
}

function skip(message) {
  skipped.push(message)
  console.log(`Skipped: ${message}`)
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

function fail(message) {
  console.error(message)
  process.exit(2)
}

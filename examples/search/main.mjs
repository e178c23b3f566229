/**
 * A substring search over all package names, its index in a store with a small budget.
 *
 *   npm start                          all names: some 4.5 million, well under a minute on two cores
 *   npm start -- --names 100000        about this many, evenly spread
 *   npm start -- http queue            search for these
 *   npm start -- --budget "64 MiB" --dir /mnt/disk --keep
 *
 * The index goes into a fresh directory below --dir (default: where the system keeps temporary files), removed at the end
 * unless --keep.
 * Every answer is checked against a plain scan of the names: the exit code is 1 if one differs.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatSize } from '../../dist/base/sizes.js'
import { ProgressLine } from '../../dist/cli/progress.js'
import { formatCount, formatDuration, textPairs, textTable } from '../../dist/cli/table.js'
import { Spillway } from '../../dist/index.js'
import { findNames, readNames } from './names.mjs'
import { IndexBuilder, POSTING_BUFFER_BYTES, search } from './postings.mjs'

const DEFAULT_WORDS = ['react', 'left-pad', 'http2', 'sqlite', 'zzz', 'no-such-name-anywhere']
const RSS_SAMPLE_MS = 50

class Interrupted extends Error {}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    names: { type: 'string' },
    all: { type: 'boolean', default: false },
    budget: { type: 'string', default: '32 MiB' },
    dir: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
  },
})
if (values.names !== undefined && !/^[1-9]\d{0,9}$/.test(values.names)) {
  console.error(`--names takes a number above zero, not ${JSON.stringify(values.names)}`)
  process.exit(2)
}
const share = values.all || values.names === undefined ? Infinity : Number(values.names)
const words = positionals.length > 0 ? positionals : DEFAULT_WORDS
const short = words.find(word => Buffer.byteLength(word) < 3)
if (short !== undefined) {
  console.error(`${JSON.stringify(short)} is too short: a search needs at least three bytes`)
  process.exit(2)
}

const source = findNames()
const directory = mkdtempSync(join(values.dir, 'spillway-search-'))
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (interrupted) {
      removeDirectory()
      process.exit(130)
    }
    interrupted = true
  })
}

try {
  process.exitCode = await run()
} catch (error) {
  if (!(error instanceof Interrupted)) throw error
  console.error('Interrupted.')
  process.exitCode = 130
} finally {
  removeDirectory()
}

async function run() {
  const startMs = performance.now()
  const start = process.memoryUsage()
  const peak = { rss: start.rss, heapTotal: start.heapTotal }
  const rssGrowth = () => {
    const { rss, heapTotal } = process.memoryUsage()
    if (rss > peak.rss) {
      peak.rss = rss
      peak.heapTotal = heapTotal
    }
    return rss - start.rss
  }
  const sampler = setInterval(rssGrowth, RSS_SAMPLE_MS)
  sampler.unref()

  const db = await Spillway.open(directory, { budget: values.budget, keyEncoding: 'buffer', valueEncoding: 'buffer' })
  try {
    const { builder, nameBytes } = await build(db, rssGrowth)
    const buildSeconds = (performance.now() - startMs) / 1000
    const answers = await answer(db)
    const wrong = await check(answers)
    clearInterval(sampler)
    rssGrowth()
    report(db, builder, {
      nameBytes, buildSeconds, seconds: (performance.now() - startMs) / 1000,
      growth: peak.rss - start.rss, heapGrowth: peak.heapTotal - start.heapTotal,
    })
    return wrong === 0 ? 0 : 1
  } finally {
    await db.close()
  }
}

async function build(db, rssGrowth) {
  const upTo = share === Infinity ? 'all names' : `about ${formatCount(share)} names, evenly spread,`
  console.log(`Indexing ${upTo} of ${formatSize(source.bytes)} in a store with a budget of ${formatSize(db.memory().budgetBytes)} in ${directory}`)
  const progress = new ProgressLine({ unit: 'names' })
  const builder = new IndexBuilder(db)
  let nameBytes = 0
  for await (const { names, doneBytes } of readNames(source, share)) {
    for (const name of names) {
      nameBytes += Buffer.byteLength(name)
      await builder.add(name)
      if (interrupted) {
        progress.finish()
        throw new Interrupted()
      }
    }
    if (progress.due) {
      progress.update({ count: builder.names, done: doneBytes, total: source.bytes, memory: db.memory(), note: `RSS +${formatSize(rssGrowth())}` })
    }
  }
  await builder.finish()
  await db.flush()
  progress.update({ count: builder.names, done: source.bytes, total: source.bytes, memory: db.memory(), note: `RSS +${formatSize(rssGrowth())}` })
  progress.finish()
  return { builder, nameBytes }
}

async function answer(db) {
  const answers = []
  for (const word of words) {
    if (interrupted) throw new Interrupted()
    const startMs = performance.now()
    const result = await search(db, word)
    answers.push({ word, ...result, ms: performance.now() - startMs })
  }
  return answers
}

/** One pass over the names for all words: the found ids must be exactly those of the names that hold the word. */
async function check(answers) {
  const startMs = performance.now()
  const states = answers.map(({ word, ids }) => ({ wanted: word.toLowerCase(), ids, at: 0, wrong: false }))
  let id = 0
  for await (const { names } of readNames(source, share)) {
    if (interrupted) throw new Interrupted()
    for (const name of names) {
      const lower = name.toLowerCase()
      for (const state of states) {
        if (lower.includes(state.wanted) && state.ids[state.at++] !== id) state.wrong = true
      }
      id++
    }
  }
  for (const state of states) if (state.at !== state.ids.length) state.wrong = true
  const scanMs = performance.now() - startMs

  console.log()
  console.log(textTable(
    [{ title: 'search' }, { title: 'names', align: 'right' }, { title: 'ms', align: 'right' }, { title: 'check' }, { title: 'first' }],
    answers.map(({ word, ids, ms, examples }, i) => [
      word, formatCount(ids.length), ms.toFixed(1), states[i].wrong ? `WRONG: the scan found ${formatCount(states[i].at)}` : 'equal', examples.join(' '),
    ]),
  ).join('\n'))
  console.log(`A plain scan of the names for all ${words.length} at once took ${formatCount(scanMs)} ms.`)
  return states.filter(state => state.wrong).length
}

function report(db, builder, { nameBytes, buildSeconds, seconds, growth, heapGrowth }) {
  const { written, tables, stalls, flushes, merges } = db.stats()
  const { budgetBytes, highWaterBytes, accounts } = db.memory()
  const rows = builder.names + builder.chunks
  console.log()
  console.log(textPairs([
    ['rows', `${formatCount(rows)}: ${formatCount(builder.names)} names of ${formatSize(nameBytes)}, ${formatCount(builder.chunks)} chunks of ${formatCount(builder.postings)} postings`],
    ['time', `${formatDuration(buildSeconds)} to index (${formatCount(rows / buildSeconds)} rows/s, ${formatCount(builder.names / buildSeconds)} names/s), ${formatDuration(seconds)} in all`],
    ['written', `log ${formatSize(written.logBytes)}, ${flushes} flushes ${formatSize(written.flushBytes)}, ${merges} merges ${formatSize(written.mergeBytes)}, `
      + `manifests ${formatSize(written.manifestBytes)}: ${written.amplification.toFixed(2)} times what was put`],
    ['on disk', `${formatSize(directoryBytes())} in ${tables} tables`],
    ['waits', `${formatCount(stalls.count)} writes waited, ${formatDuration(stalls.totalMs / 1000)} in all`],
    ['ledger', `peak ${formatSize(highWaterBytes)} of ${formatSize(budgetBytes)}: `
      + Object.entries(accounts).filter(([, account]) => account.highWaterBytes > 0).map(([name, account]) => `${name} ${formatSize(account.highWaterBytes)}`).join(', ')],
    ['process', `RSS grew by at most ${formatSize(growth)} over what it was before the store was opened (sampled every ${RSS_SAMPLE_MS} ms). Beside the store: `
      + `JavaScript heap ${formatSize(heapGrowth)}, this program's buffer of postings ${formatSize(POSTING_BUFFER_BYTES)}`],
  ]).join('\n'))
  console.log()
  console.log(`${formatSize(written.userBytes)} of data went through a budget of ${formatSize(budgetBytes)}: ${(written.userBytes / budgetBytes).toFixed(1)} times its size.`)
}

function directoryBytes() {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
}

function removeDirectory() {
  if (values.keep) console.log(`Kept in ${directory}: npx spillway stats ${directory}`)
  else rmSync(directory, { recursive: true, force: true })
}

/**
 * Collections that spill beside classic-level doing the same job: fill, read back at random, look for what is not there, iterate.
 *
 *   npm run bench:collections                              2 million rows of 100 B in all, 64 MiB
 *   npm run bench:collections -- --rows 20e6 --budget 64
 *   npm run bench:collections -- --subject map             one only: map, sorted (key order), set, level
 *   npm run bench:collections -- --dir /mnt/disk
 *
 * Each runs in a process of its own whose peak RSS is read from outside; that of a process which only makes the rows is shown beside.
 * classic-level writes in batches of 1000, which suits it best, and reads synchronously. Every value read is checked. Peers are
 * installed in bench/peers.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatCount, textTable } from '../dist/cli/table.js'
import { installPeers } from './memory/peers.mjs'
import { KEY_BYTES, Random, keyOf, valueOf } from './memory/rows.mjs'
import { RssSampler } from './memory/rss.mjs'
import { fromPeers } from './memory/subjects/from-peers.mjs'

const MIB = 2 ** 20
const VALUE_BYTES = 84
const BATCH = 1000

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '2e6' },
    reads: { type: 'string', default: '200000' },
    budget: { type: 'string', default: '64' },
    subject: { type: 'string', multiple: true, default: ['nothing', 'map', 'sorted', 'set', 'level'] },
    dir: { type: 'string', default: tmpdir() },
    child: { type: 'string' },
  },
})
const rows = Number(options.rows)
const reads = Number(options.reads)
const budgetMiB = Number(options.budget)
if (![rows, reads, budgetMiB].every(number => number > 0)) {
  console.error('--rows, --reads and --budget (in MiB) take numbers above zero')
  process.exit(2)
}

// ---- what is measured: fill, get, has, count (iterate all), bytes on disk

const subjects = {
  nothing: () => ({ set() {}, get: () => undefined, has: () => false, count: () => rows, close() {} }),
  map: directory => mapSubject(directory, 'insertion'),
  sorted: directory => mapSubject(directory, 'key'),
  async set(directory) {
    const { SpillSet } = await import('spillway/collections')
    const set = new SpillSet({ budget: budgetMiB * MIB, directory, keyEncoding: 'buffer' })
    return { set: key => set.add(key), get: undefined, has: key => set.has(key), count: () => countOf(set), memory: () => set.memory(), close: () => set.dispose() }
  },
  async level(directory) {
    const { ClassicLevel } = await fromPeers('classic-level')
    const db = new ClassicLevel(join(directory, 'level'), {
      keyEncoding: 'buffer', valueEncoding: 'buffer', cacheSize: budgetMiB * MIB / 2, writeBufferSize: budgetMiB * MIB / 4,
    })
    await db.open()
    let batch = []
    const write = async () => {
      await db.batch(batch)
      batch = []
    }
    return {
      set(key, value) {
        batch.push({ type: 'put', key, value })
        return batch.length >= BATCH ? write() : undefined
      },
      settle: write,
      get: key => db.getSync(key),
      has: key => db.getSync(key) !== undefined,
      async count() {
        let count = 0
        const iterator = db.iterator()
        for (let some = await iterator.nextv(BATCH); some.length > 0; some = await iterator.nextv(BATCH)) count += some.length
        await iterator.close()
        return count
      },
      close: () => db.close(),
    }
  },
}

async function mapSubject(directory, order) {
  const { SpillMap } = await import('spillway/collections')
  const map = new SpillMap({ budget: budgetMiB * MIB, directory, order, keyEncoding: 'buffer', valueEncoding: 'buffer' })
  return {
    set: (key, value) => { map.set(key, value) },
    get: key => map.get(key), has: key => map.has(key), count: () => countOf(map), memory: () => map.memory(), close: () => map.dispose(),
  }
}

function countOf(iterable) {
  let count = 0
  for (const _ of iterable) count++
  return count
}

async function measure(subject, directory) {
  const store = await subjects[subject](directory)
  const result = { cpuSeconds: 0 }
  const time = async (name, count, work) => {
    const started = performance.now()
    await work()
    result[name] = count / (performance.now() - started) * 1000
  }
  await time('fill', rows, async () => {
    for (let i = 0; i < rows; i++) {
      const waits = store.set(keyOf(i), valueOf(i, VALUE_BYTES))
      if (waits !== undefined && typeof waits.then === 'function') await waits
    }
    await store.settle?.()
  })
  const random = new Random(1)
  if (store.get !== undefined) {
    await time('get', reads, () => {
      for (let n = 0; n < reads; n++) {
        const i = random.below(rows)
        const value = store.get(keyOf(i))
        if (subject !== 'nothing' && (value?.length !== VALUE_BYTES || value.readUInt32LE(0) !== i)) throw new Error(`row ${i} is not what was written`)
      }
    })
  }
  await time('missing', reads, () => {
    for (let n = 0; n < reads; n++) if (store.has(keyOf(rows + random.below(rows)))) throw new Error('a row that was never written is there')
  })
  await time('iterate', rows, async () => {
    const count = await store.count()
    if (count !== rows) throw new Error(`${count} rows came back, ${rows} were written`)
  })
  result.diskBytes = bytesBelow(directory)
  result.highWaterBytes = store.memory?.().highWaterBytes
  const { user, system } = process.cpuUsage()
  result.cpuSeconds = (user + system) / 1e6
  await store.close()
  return result
}

function bytesBelow(directory) {
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath ?? entry.path, entry.name)).size
  }
  return bytes
}

// ---- one child after the other

async function hasLevel() {
  try {
    await fromPeers('classic-level')
    return true
  } catch {
    return false
  }
}

function runChild(subject, directory) {
  return new Promise((resolve, reject) => {
    const args = [fileURLToPath(import.meta.url), '--child', subject, '--rows', String(rows), '--reads', String(reads), '--budget', String(budgetMiB), '--dir', directory]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const sampler = new RssSampler(child.pid)
    let result
    child.on('message', async message => {
      result = message
      await sampler.finish()
      child.send('exit')
    })
    child.on('error', reject)
    child.on('close', code => {
      sampler.stop()
      if (result === undefined) reject(new Error(`${subject} ended with code ${code}`))
      else resolve({ ...result, peakBytes: sampler.peak.bytes })
    })
  })
}

if (options.child !== undefined) {
  process.once('message', () => process.exit(0))
  process.send(await measure(options.child, options.dir))
} else {
  const unknown = options.subject.filter(subject => !Object.hasOwn(subjects, subject))
  if (unknown.length > 0) {
    console.error(`--subject takes ${Object.keys(subjects).join(', ')}, not ${unknown.join(', ')}`)
    process.exit(2)
  }
  if (options.subject.includes('level') && !(await hasLevel()) && !(await installPeers(console.log)).includes('classic-level')) {
    options.subject = options.subject.filter(subject => subject !== 'level')
  }
  console.log(`${formatCount(rows)} rows, keys of ${KEY_BYTES} B, values of ${VALUE_BYTES} B, budget ${budgetMiB} MiB, Node ${process.version}`)
  const perSecond = number => number === undefined ? '' : formatCount(Math.round(number))
  const mebibytes = bytes => bytes === undefined ? '' : (bytes / MIB).toFixed(0)
  const lines = []
  for (const subject of options.subject) {
    const directory = mkdtempSync(join(options.dir, 'spillway-bench-'))
    try {
      const { fill, get, missing, iterate, peakBytes, highWaterBytes, diskBytes, cpuSeconds } = await runChild(subject, directory)
      lines.push([subject, perSecond(fill), perSecond(get), perSecond(missing), perSecond(iterate), mebibytes(peakBytes), mebibytes(highWaterBytes), mebibytes(diskBytes), cpuSeconds.toFixed(0)])
      console.error(lines.at(-1).join('  '))
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }
  const titles = ['', 'fill/s', 'get/s', 'missing/s', 'iterate/s', 'peak RSS MiB', 'ledger MiB', 'disk MiB', 'CPU s']
  const columns = titles.map(title => ({ title, align: title === '' ? 'left' : 'right' }))
  console.log(textTable(columns, lines).join('\n'))
}

// How much work a page pool never does, because what it would be done for is gone by then: npm run bench:elision
//
//   node bench/elision.mjs [--mib 256] [--limit 32] [--dir PARENT] [--json]
//
// Two programs that make sealed state and throw most of it away, each through a page pool of `limit` MiB of pages in memory:
//
// overwrite   pages of 64 KiB, each the new version of one of a set of pages, and the old version is freed; sets of half, one, two and
//             four times the limit, chosen at random, and one of four times of which nine in ten overwrites hit a tenth.
// cascade     batches of sorted entries become runs; four runs of a level are merged into one of the next, of equal keys only the
//             newest is kept. Merges free the pages they have read.
//
// written: what the program handed over, in MiB of its own bytes, each version and each run of a merge. compressed: of that, what went
// through LZ4. scratch: what was written to the file, compressed. elided: freed before it was stored, so neither compressed nor written. The rest
// is in memory at the end. With `tier`, evicted pages stay in memory, compressed, up to half the limit: then the file gets less.
// The same seed makes the same pages: only the seconds differ from run to run. --json also prints the counters of the pools as they are.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Kernels } from '../dist/kernels/kernels.js'
import { nodeHost } from '../dist/host/node/node-host.js'
import { Budget } from '../dist/memory/budget.js'
import { PagePool } from '../dist/pages/page-pool.js'
import { PagedMerge } from '../dist/pages/paged-merge.js'
import { PagedRunBuilder } from '../dist/pages/paged-run-builder.js'
import { ScratchFile } from '../dist/pages/scratch-file.js'

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' }, limit: { type: 'string', default: '32' },
    dir: { type: 'string', default: tmpdir() }, json: { type: 'boolean', default: false },
  },
})
const MIB = 2 ** 20
const PAGE_BYTES = 65536
const KEY_BYTES = 16
const VALUE_BYTES = 84
const FAN_IN = 4
const programBytes = Number(options.mib) * MIB
const limitBytes = Number(options.limit) * MIB
const host = nodeHost()
const kernels = new Kernels(65536)
const directory = mkdtempSync(join(options.dir, 'spillway-elision-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

let state = 1
function random(below) {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

/** Thirty bytes of chance, then a run of one byte: LZ4 makes about a third of it. */
function fill(bytes) {
  const letter = random(256)
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 96 < 30 ? random(256) : letter
  return bytes
}

/** A pool that also counts bytes: the pool's own counters are of pages. */
class Counted {
  writtenBytes = 0
  elidedBytes = 0
  liveBytes = 0
  #pool

  constructor(pool) {
    this.#pool = pool
  }

  insert(source, start, end, pageOptions) {
    this.writtenBytes += end - start
    this.liveBytes += end - start
    return this.#pool.insert(source, start, end, pageOptions)
  }

  free(page) {
    // What counts for `writesElided`: it is in memory and has never been stored.
    if (page.slot !== undefined && page.extentIn === 0) this.elidedBytes += page.length
    this.liveBytes -= page.length
    this.#pool.free(page)
  }

  read(page, target, at, from, to) { this.#pool.read(page, target, at, from, to) }
  admit(page) { return this.#pool.admit(page) }
}

let files = 0
function run(name, work, { tier = false } = {}) {
  const budget = new Budget(limitBytes * 2 + 256 * MIB)
  const account = budget.account('pages', 'bench')
  const scratch = new ScratchFile(host.files, join(directory, `pages-${files++}`), account)
  const pool = new PagePool(account, { kernels, scratch, limitBytes, targetRssBytes: tier ? limitBytes * 1.5 + limitBytes / 8 : 0 })
  const store = new Counted(pool)
  state = 7
  const from = performance.now()
  const finish = work(store, account)
  const seconds = (performance.now() - from) / 1000
  const stats = pool.stats()
  let unstoredBytes = 0
  finish(page => { if (page.slot !== undefined && page.extentIn === 0) unstoredBytes += page.length })
  const row = {
    name, seconds, writtenBytes: store.writtenBytes,
    compressedBytes: store.writtenBytes - store.elidedBytes - unstoredBytes,
    scratchBytes: stats.extentBytesWritten, elidedBytes: store.elidedBytes, stats,
  }
  pool.close()
  scratch.close()
  rows.push(row)
}

/** `hot`: of the set, the part that nine in ten overwrites hit; 1 = all alike. */
function overwrite(setBytes, hot = 1) {
  const count = Math.floor(setBytes / PAGE_BYTES)
  const sources = Array.from({ length: 16 }, () => fill(new Uint8Array(PAGE_BYTES)))
  return store => {
    const pages = new Array(count)
    for (let i = 0; i * PAGE_BYTES < programBytes; i++) {
      const at = hot === 1 || random(10) === 0 ? random(count) : random(Math.max(1, Math.floor(count * hot)))
      const older = pages[at]
      if (older !== undefined) store.free(older)
      pages[at] = store.insert(sources[random(16)], 0, PAGE_BYTES, {})
    }
    return each => { for (const page of pages) if (page !== undefined) each(page) }
  }
}

/** `keys`: of how many different ones; fewer make more of each batch an overwrite. */
function cascade(batchBytes, keys) {
  return (store, account) => {
    const levels = [[]]
    const batchEntries = Math.floor(batchBytes / (KEY_BYTES + VALUE_BYTES))
    const batches = Math.floor(programBytes / batchBytes)
    const values = fill(new Uint8Array(MIB))
    const key = Buffer.alloc(KEY_BYTES)
    const numbers = new Uint32Array(batchEntries)
    /** Pages of runs that are there, by run: what `finish` looks at. */
    const stored = new Map()
    const recording = made => ({
      insert: (...args) => {
        const page = store.insert(...args)
        made.add(page)
        return page
      },
      read: (...args) => store.read(...args),
      admit: page => store.admit(page),
      free: page => {
        made.delete(page)
        store.free(page)
      },
    })
    const build = (depth, shortLived, each) => {
      const made = new Set()
      const builder = new PagedRunBuilder(recording(made), account, { depth, shortLived, seekable: false })
      each(builder)
      const built = builder.finish()
      stored.set(built, made)
      return built
    }
    const mergeLevel = depth => {
      const runs = levels[depth]
      // The newest first: of equal keys the first is kept.
      const newest = [...runs].reverse()
      const pages = runs.reduce((sum, each) => sum + each.pages, 0)
      const merged = build(depth + 1, pages < 4, builder => {
        const merge = new PagedMerge(newest, account)
        const last = Buffer.alloc(KEY_BYTES)
        while (merge.next()) {
          const { bytes, keyStart, keyEnd } = merge
          if (builder.count > 0 && last.equals(bytes.subarray(keyStart, keyEnd))) continue
          last.set(bytes.subarray(keyStart, keyEnd))
          builder.addEncoded(bytes, merge.entryStart, merge.entryEnd, keyStart, keyEnd)
        }
        merge.close()
      })
      for (const each of runs) {
        each.free()
        stored.delete(each)
      }
      levels[depth] = []
      levels[depth + 1] ??= []
      levels[depth + 1].push(merged)
      if (levels[depth + 1].length === FAN_IN) mergeLevel(depth + 1)
    }
    for (let batch = 0; batch < batches; batch++) {
      for (let i = 0; i < batchEntries; i++) numbers[i] = random(keys)
      numbers.sort()
      levels[0].push(build(0, false, builder => {
        for (let i = 0; i < batchEntries; i++) {
          if (i > 0 && numbers[i] === numbers[i - 1]) continue
          key.write(String(numbers[i]).padStart(KEY_BYTES, '0'), 'latin1')
          const from = random(MIB - VALUE_BYTES)
          builder.add(key, 0, KEY_BYTES, values, from, from + VALUE_BYTES)
        }
      }))
      if (levels[0].length === FAN_IN) mergeLevel(0)
    }
    return each => { for (const made of stored.values()) for (const page of made) each(page) }
  }
}

const rows = []
run('overwrite, half the limit', overwrite(limitBytes / 2))
run('overwrite, the limit', overwrite(limitBytes))
run('overwrite, 2 x the limit', overwrite(limitBytes * 2))
run('overwrite, 4 x the limit', overwrite(limitBytes * 4))
run('the same with a tier', overwrite(limitBytes * 4), { tier: true })
run('overwrite, 4 x, a tenth is hot', overwrite(limitBytes * 4, 0.1))
const ENTRY_BYTES = KEY_BYTES + VALUE_BYTES
run('cascade, all that lives fits', cascade(limitBytes / 16, Math.floor(limitBytes / 4 / ENTRY_BYTES)))
run('cascade, 2 x the limit lives', cascade(limitBytes / 16, Math.floor(limitBytes * 2 / ENTRY_BYTES)))
run('cascade, hardly an overwrite', cascade(limitBytes / 16, 2 ** 31))
run('the same with a tier', cascade(limitBytes / 16, 2 ** 31), { tier: true })

if (options.json) {
  console.log(JSON.stringify(rows, undefined, 2))
} else {
  const mib = bytes => (bytes / MIB).toFixed(0).padStart(9)
  const percent = (part, whole) => `${(100 * part / whole).toFixed(0).padStart(4)} %`
  console.log(`${options.mib} MiB made by each program, ${options.limit} MiB of pages in memory; MiB`)
  console.log(`${''.padEnd(31)}  written compressed   scratch    elided        seconds`)
  for (const { name, seconds, writtenBytes, compressedBytes, scratchBytes, elidedBytes } of rows) {
    console.log(`${name.padEnd(31)}${mib(writtenBytes)}  ${mib(compressedBytes)} ${mib(scratchBytes)} ${mib(elidedBytes)} ${percent(elidedBytes, writtenBytes)} ${seconds.toFixed(1).padStart(7)}`)
  }
  console.log('\nThe pool\'s own counters, of pages:')
  const names = ['inserts', 'frees', 'writesElided', 'evictionsCompressing', 'evictionsCheap', 'bornEvicted', 'pageOuts', 'readFaults', 'warmReuses', 'extentsWritten']
  console.log(`${''.padEnd(31)}${names.map(name => name.padStart(name.length + 2)).join('')}`)
  for (const { name, stats } of rows) console.log(`${name.padEnd(31)}${names.map(each => String(stats[each]).padStart(each.length + 2)).join('')}`)
}

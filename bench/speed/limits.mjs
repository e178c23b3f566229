// What the machine and Node.js allow, beside which the rates of stores are to be read: no store that copies, reads, appends or
// syncs can be faster than these. One thread, synchronous calls, each measurement below 2 s.
import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, fsyncSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const MIB = 1024 * 1024
const PAGE_BYTES = 4096
const COPY_BYTES = 100 * MIB
const FILE_BYTES = 128 * MIB
// The system reads ahead up to 128 KiB: cold reads lie so far apart that none finds its page brought in by another.
const APART_BYTES = 256 * 1024
const SECONDS = 1
// Random reads of a sequence that is the same in every run: a prime steps through all pages of the file.
const STRIDE = 7919

/**
 * Result lines of the store "limit": `value` in `unit` (GB/s with 10^9 bytes, us or ns a piece, the mean), `count`, `seconds`,
 * `perSecond`, and where each call was timed its latencies `p50us`, `p99us`, `maxMs`. Leaves its directory as it was.
 */
export async function measureLimits(directory) {
  const folder = mkdtempSync(join(directory, 'limits-'))
  try {
    const lines = [memcpy(), ...pageReads(folder), append(folder), ...syncs(folder), await eventLoopTurn(), await microtask()]
    return lines.filter(line => line !== undefined)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function memcpy() {
  const from = Buffer.allocUnsafeSlow(COPY_BYTES).fill(1)
  const to = Buffer.allocUnsafeSlow(COPY_BYTES).fill(2)
  const { count, seconds } = repeat(() => from.copy(to), { most: 100 })
  return { ...lineOf('memcpy', count, seconds), value: rounded(count * COPY_BYTES / seconds / 1e9), unit: 'GB/s' }
}

function pageReads(folder) {
  const path = join(folder, 'pages')
  const file = openSync(path, 'w+')
  try {
    const piece = Buffer.alloc(MIB, 'spillway ')
    for (let at = 0; at < FILE_BYTES; at += MIB) writeSync(file, piece, 0, MIB, at)
    fsyncSync(file)
    const page = Buffer.allocUnsafeSlow(PAGE_BYTES)
    const pages = FILE_BYTES / PAGE_BYTES
    const read = n => readSync(file, page, 0, PAGE_BYTES, n * STRIDE % pages * PAGE_BYTES)
    const readApart = n => readSync(file, page, 0, PAGE_BYTES, n * STRIDE * APART_BYTES % FILE_BYTES)
    for (let n = 0; n < pages; n++) read(n)
    const warm = repeat(read, { most: 1e6 })
    return [timesOf('page-cache-read-4k', warm), coldReads(path, readApart)]
  } finally {
    closeSync(file)
  }
}

/** Undefined where the cache cannot be dropped, or was not: only reads that reached the device count. */
function coldReads(path, read) {
  // The file is synced, so all of its pages can go; those of other programs stay.
  const dropped = spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' })
  if (dropped.status !== 0) return undefined
  const before = deviceReadBytes()
  const cold = repeat(read, { most: FILE_BYTES / APART_BYTES })
  if (!(deviceReadBytes() - before >= cold.count * PAGE_BYTES)) return undefined
  return timesOf('cold-read-4k', cold)
}

/** What this process made the device read; NaN where the system does not tell. */
function deviceReadBytes() {
  try {
    return Number(/^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
  } catch {
    return NaN
  }
}

function append(folder) {
  const file = openSync(join(folder, 'append'), 'a')
  try {
    const page = Buffer.alloc(PAGE_BYTES, 'spillway ')
    return timesOf('append-4k', repeat(() => writeSync(file, page), { most: 50_000 }))
  } finally {
    closeSync(file)
  }
}

/** A growing file has its new size written too; one that is overwritten in place has only the page. */
function syncs(folder) {
  const file = openSync(join(folder, 'synced'), 'w+')
  try {
    const page = Buffer.alloc(PAGE_BYTES, 'spillway ')
    const appended = repeat(n => {
      writeSync(file, page, 0, PAGE_BYTES, n * PAGE_BYTES)
      fdatasyncSync(file)
    }, { most: 2000 })
    fsyncSync(file)
    const overwritten = repeat(n => {
      writeSync(file, page, 0, PAGE_BYTES, n % appended.count * PAGE_BYTES)
      fdatasyncSync(file)
    }, { most: 2000 })
    return [timesOf('fdatasync-append', appended), timesOf('fdatasync-overwrite', overwritten)]
  } finally {
    closeSync(file)
  }
}

function eventLoopTurn() {
  return new Promise(resolve => {
    const most = 200_000
    let count = 0
    let start = 0
    const turn = () => {
      // The first thousand turns are not counted.
      if (count === 1000) start = performance.now()
      const seconds = (performance.now() - start) / 1000
      if (count++ < most && (count < 2000 || seconds < SECONDS)) return void setImmediate(turn)
      const turns = count - 1001
      resolve({ ...lineOf('event-loop-turn', turns, seconds), value: rounded(seconds / turns * 1e6), unit: 'us' })
    }
    setImmediate(turn)
  })
}

async function microtask() {
  const most = 2_000_000
  const settled = Promise.resolve()
  for (let n = 0; n < 100_000; n++) await settled
  const start = performance.now()
  for (let n = 0; n < most; n++) await settled
  const seconds = (performance.now() - start) / 1000
  return { ...lineOf('microtask', most, seconds), value: rounded(seconds / most * 1e9), unit: 'ns' }
}

/** Calls `act(n)` until a second is over or `most` calls were made; the time of each in `micros`. */
function repeat(act, { most }) {
  const micros = new Float64Array(most)
  const start = performance.now()
  const end = start + SECONDS * 1000
  let before = start
  let count = 0
  while (count < most && before < end) {
    act(count)
    const after = performance.now()
    micros[count++] = (after - before) * 1000
    before = after
  }
  return { count, seconds: (before - start) / 1000, micros: micros.subarray(0, count).sort() }
}

function timesOf(workload, { count, seconds, micros }) {
  const at = share => rounded(micros[Math.min(count - 1, Math.floor(share * count))])
  return {
    ...lineOf(workload, count, seconds), value: rounded(seconds / count * 1e6), unit: 'us',
    p50us: at(0.5), p99us: at(0.99), maxMs: rounded(micros[count - 1] / 1000),
  }
}

function lineOf(workload, count, seconds) {
  return { store: 'limit', workload, count, seconds: rounded(seconds), perSecond: rounded(count / seconds) }
}

/** To four digits. */
function rounded(number) {
  return Number(number.toPrecision(4))
}

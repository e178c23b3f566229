// Sorts a file of lines with sortLines and with GNU sort, and says how far both are from what the disk allows: npm run bench:sort
//
//   node bench/sort.mjs [--size "1 GiB"] [--budget "64 MiB"] [--line 100] [--data random|words] [--dir PARENT] [--runs 1] [--json]
//
// random: lines of hex digits and letters that LZ4 does not shrink; words: lines like those of a log. Every sort reads the file and
// writes another one in a process of its own, alternating; the results are compared byte by byte. Seconds are wall-clock time; CPU is
// user + system; RSS is the process's highest, for ours with Node.js itself in it (about 45 MiB). "bytes that must move" is the file
// read once and written once, and where it does not fit the budget written and read once more; the bandwidth is measured here, with
// a file of a quarter of the size: written and synced, and read again (from the page cache if memory is large).
import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sortLines } from '../dist/collections/index.js'

const MIB = 1024 * 1024
const CHUNK = 256 * 1024

if (process.argv[2] === '--child') {
  await child(process.argv[3], process.argv[4], process.argv[5], process.argv[6])
} else {
  main()
}

async function child(input, output, budget, directory) {
  const from = await open(input)
  // One buffer for all chunks: sortLines copies what it keeps.
  const buffer = new Uint8Array(CHUNK)
  async function* chunks() {
    for (;;) {
      const { bytesRead } = await from.read(buffer, 0, CHUNK, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  }
  let report
  const to = openSync(output, 'w')
  for await (const chunk of sortLines(chunks(), { budget, directory, reuseChunks: true, monitor: given => { report = given } })) {
    for (let at = 0; at < chunk.length;) at += writeSync(to, chunk, at)
  }
  closeSync(to)
  await from.close()
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  console.log(JSON.stringify({
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, rssMiB: maxRSS / 1024, ledgerMiB: report.highWaterBytes / MIB,
    lines: report.entries, runs: report.runs, merges: report.merges, scratchMiB: (report.pages?.extentBytesWritten ?? 0) / MIB,
  }))
}

function main() {
  const { values: options } = parseArgs({
    options: {
      size: { type: 'string', default: '1 GiB' },
      budget: { type: 'string', default: '64 MiB' },
      line: { type: 'string', default: '100' },
      data: { type: 'string', default: 'random' },
      dir: { type: 'string', default: tmpdir() },
      runs: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  const size = bytesOf(options.size)
  const budget = bytesOf(options.budget)
  const directory = mkdtempSync(join(options.dir, 'spillway-bench-sort-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  process.on('SIGINT', () => process.exit(130))

  const bandwidth = measureDisk(directory, Math.max(64 * MIB, size / 4))
  const input = join(directory, 'lines')
  makeLines(input, size, Number(options.line), options.data)
  const bytes = statSync(input).size
  const passes = bytes > budget ? 2 : 1
  const floorSeconds = passes * (bytes / bandwidth.write + bytes / bandwidth.read)
  console.log(`${(bytes / MIB).toFixed(0)} MiB of ${options.data} lines, budget ${(budget / MIB).toFixed(0)} MiB; disk: write ${mibs(bandwidth.write)}, read ${mibs(bandwidth.read)} MiB/s`)
  console.log(`bytes that must move: ${(2 * passes * bytes / MIB).toFixed(0)} MiB, at that bandwidth ${floorSeconds.toFixed(1)} s\n`)

  const output = join(directory, 'ours')
  const gnuOutput = join(directory, 'gnu')
  const sorters = [['spillway sortLines', () => runOurs(input, output, budget, directory)]]
  if (spawnSync('sort', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU')) {
    sorters.push(
      ['LC_ALL=C sort', () => runGnu(input, gnuOutput, budget, directory, { LC_ALL: 'C' })],
      ['sort', () => runGnu(input, gnuOutput, budget, directory, {})],
    )
  } else {
    console.log('GNU sort is not installed: only ours is measured\n')
  }
  const rows = []
  for (let run = 0; run < Number(options.runs); run++) {
    for (const [name, sort] of sorters) {
      const startMs = performance.now()
      const result = sort()
      const seconds = (performance.now() - startMs) / 1000
      rows.push({ name, seconds, mibPerSecond: bytes / MIB / seconds, floorRatio: seconds / floorSeconds, ...result })
      console.log(`${name.padEnd(20)} ${seconds.toFixed(1).padStart(7)} s  ${mibs(bytes / seconds).padStart(5)} MiB/s  CPU ${result.cpuSeconds.toFixed(1)} s  RSS ${result.rssMiB.toFixed(0)} MiB`
        + (result.runs === undefined ? '' : `  (ledger ${result.ledgerMiB.toFixed(1)} MiB, ${result.lines} lines, ${result.runs} runs, ${result.scratchMiB.toFixed(0)} MiB of scratch)`))
      if (name === 'LC_ALL=C sort' && spawnSync('cmp', [output, gnuOutput]).status !== 0) {
        console.error('the results differ')
        process.exitCode = 1
      }
    }
  }
  if (options.json) console.log(JSON.stringify({ bytes, budget, bandwidth, floorSeconds, rows }))
}

function runOurs(input, output, budget, directory) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--child', input, output, String(budget), directory], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`sortLines failed: ${stderr}`)
  return JSON.parse(stdout)
}

/** Through a shell that reports times, because a process cannot ask for the peak of one that has ended. */
function runGnu(input, output, budget, directory, environment) {
  const env = { ...process.env, ...environment }
  const command = 'sort -S "$2b" -T "$3" -o "$4" "$1" & pid=$!; peak=0; while kill -0 $pid 2>/dev/null; do'
    + ' rss=$(awk \'/VmHWM/ { print $2 }\' /proc/$pid/status 2>/dev/null); [ -n "$rss" ] && peak=$rss; sleep 0.2; done; wait $pid && echo "$peak" && times'
  const { stdout, stderr, status } = spawnSync('sh', ['-c', command, 'sort', input, String(budget), directory, output], { encoding: 'utf8', env })
  if (status !== 0) throw new Error(`sort failed: ${stderr}`)
  const [peak, , children] = stdout.trim().split('\n')
  const cpuSeconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, seconds]) => sum + 60 * minutes + Number(seconds), 0)
  return { cpuSeconds, rssMiB: Number(peak) / 1024 }
}

function measureDisk(directory, bytes) {
  const path = join(directory, 'bandwidth')
  const block = Buffer.alloc(4 * MIB)
  for (let i = 0; i < block.length; i += 4) block.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i)
  const fd = openSync(path, 'w+')
  let startMs = performance.now()
  for (let at = 0; at < bytes; at += block.length) writeSync(fd, block, 0, block.length, at)
  fdatasyncSync(fd)
  const write = bytes / ((performance.now() - startMs) / 1000)
  startMs = performance.now()
  for (let at = 0; at < bytes; at += block.length) readSync(fd, block, 0, block.length, at)
  const read = bytes / ((performance.now() - startMs) / 1000)
  closeSync(fd)
  rmSync(path)
  return { write, read }
}

function makeLines(path, bytes, lineBytes, data) {
  const words = ['GET', 'POST', '/index.html', '/api/orders', '/api/customers', '200', '404', 'Mozilla/5.0', 'curl/8', 'gzip', 'keep-alive', 'cached', 'miss']
  const fd = openSync(path, 'w')
  const block = Buffer.allocUnsafe(MIB)
  let state = 0x2545f491
  const random = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  let at = 0
  for (let total = 0; total < bytes;) {
    if (at + 4 * lineBytes > block.length) {
      writeSync(fd, block, 0, at)
      at = 0
    }
    const start = at
    const length = Math.max(20, lineBytes - 1 - lineBytes / 5 + random() % (lineBytes / 2.5)) | 0
    for (let i = 0, x = 0; i < 16; i++, x >>>= 4) {
      if (i % 8 === 0) x = random()
      block[at++] = '0123456789abcdef'.charCodeAt(x & 15)
    }
    while (at - start < length) {
      block[at++] = 32
      if (data === 'words') {
        at += block.write(words[random() % words.length], at, 'latin1')
      } else {
        for (let i = 0, x = random(); i < 12 && at - start < length; i++, x = i % 4 === 0 ? random() : x >>> 8) block[at++] = 97 + (x & 15)
      }
    }
    block[at++] = 10
    total += at - start
  }
  writeSync(fd, block, 0, at)
  closeSync(fd)
}

function bytesOf(text) {
  const [, number, unit] = /^([\d.]+) *([KMG]?)i?B?$/.exec(text) ?? []
  if (number === undefined) throw new Error(`${text} is not a size such as "1 GiB"`)
  return Math.round(Number(number) * { '': 1, K: 1024, M: MIB, G: 1024 * MIB }[unit])
}

function mibs(bytesPerSecond) {
  return (bytesPerSecond / MIB).toFixed(0)
}

/** By hand: `node dist/table/table.bench.js [entries]`. Prints how fast one table is written, looked up in and scanned. */
import { mkdtempSync, rmSync, openSync, readSync, writeSync, fdatasyncSync, fstatSync, closeSync, ftruncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { Hit, MAX_SEQ } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { Kernels } from '../kernels/kernels.ts'
import { BlockCache } from '../cache/block-cache.ts'
import type { HostFile } from '../host/host.ts'
import { Budget } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { CachedBlocks, StreamedBlocks } from './block/block-source.ts'
import { KERNEL_REGION_BYTES } from './format.ts'
import { TableReader } from './table-reader.ts'
import { TableWriter } from './table-writer.ts'
import { EntryCursor, randomNumbers } from './testing/model.ts'

const ENTRIES = Number(process.argv[2] ?? 300_000)
const KEY_BYTES = 16
const VALUE_BYTES = 100
const ROUNDS = 5

class DiskFile implements HostFile {
  readonly path: string
  readonly #fd: number
  constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, 'w+')
  }
  size(): number { return fstatSync(this.#fd).size }
  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return readSync(this.#fd, target, offset, length, position)
  }
  async read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.readSync(target, offset, length, position)
  }
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    writeSync(this.#fd, source, offset, length, position)
  }
  syncSync(): void { fdatasyncSync(this.#fd) }
  async sync(): Promise<void> { this.syncSync() }
  truncate(length: number): void { ftruncateSync(this.#fd, length) }
  close(): void { closeSync(this.#fd) }
}

const random = randomNumbers(42)
// Random keys; values half noise, half zeros, so that they compress to about half.
const keys = new Uint8Array(ENTRIES * KEY_BYTES).map(() => random())
const order = Array.from({ length: ENTRIES }, (_, i) => i)
const view = new DataView(keys.buffer)
order.sort((a, b) => {
  for (let word = 0; word < KEY_BYTES; word += 4) {
    const difference = view.getUint32(a * KEY_BYTES + word) - view.getUint32(b * KEY_BYTES + word)
    if (difference !== 0) return difference
  }
  return 0
})
const values = new Uint8Array(ENTRIES * VALUE_BYTES)
for (let i = 0; i < ENTRIES; i++) for (let j = 0; j < VALUE_BYTES / 2; j++) values[i * VALUE_BYTES + j] = random()
const absent = new Uint8Array(ENTRIES * KEY_BYTES).map(() => random())
const picks = Uint32Array.from({ length: ENTRIES }, () => random() % ENTRIES)
const megabytes = (ENTRIES * (KEY_BYTES + VALUE_BYTES)) / 1e6

/** By the clock, and by the CPU time of this process: on a busy machine the latter says more. */
function best(name: string, unit: string, amount: number, run: () => void): void {
  let seconds = Infinity
  let cpuSeconds = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now()
    const cpuFrom = process.cpuUsage()
    run()
    const cpu = process.cpuUsage(cpuFrom)
    seconds = Math.min(seconds, (performance.now() - from) / 1000)
    cpuSeconds = Math.min(cpuSeconds, (cpu.user + cpu.system) / 1e6)
  }
  const rates = [amount / seconds, amount / cpuSeconds].map((rate) => rate.toFixed(2).padStart(9))
  console.log(`${name.padEnd(34)} ${rates[0]} ${unit}, ${rates[1]} per CPU second`)
}

const kernels = new Kernels(KERNEL_REGION_BYTES)
const directory = mkdtempSync(join(tmpdir(), 'spillway-bench-'))
try {
  let made = 0
  let file: DiskFile | undefined
  const write = (compression: 'none' | 'lz4') => {
    file?.close()
    file = new DiskFile(join(directory, `${made++}.table`))
    const writer = new TableWriter(file, { fileNumber: 1, kernels, compression })
    const cursor = new EntryCursor()
    cursor.key = keys
    cursor.value = values
    cursor.kind = 1
    for (let i = 0; i < ENTRIES; i++) {
      const n = order[i]!
      cursor.keyStart = n * KEY_BYTES
      cursor.keyEnd = cursor.keyStart + KEY_BYTES
      cursor.valueStart = n * VALUE_BYTES
      cursor.valueEnd = cursor.valueStart + VALUE_BYTES
      cursor.seq = n + 1
      writer.add(cursor)
    }
    return writer.finish()
  }
  best('write, no compression, with sync', 'MB/s of entries', megabytes, () => write('none'))
  best('write, LZ4, with sync', 'MB/s of entries', megabytes, () => write('lz4'))
  const table = TableReader.open(file!, 1, kernels)
  const { blocks, fileBytes } = table.properties
  console.log(`${blocks} blocks, ${(fileBytes / 1e6).toFixed(1)} MB of ${megabytes.toFixed(1)}, ${table.residentBytes} bytes resident`)

  const budget = new Budget('128 MiB')
  const cache = new BlockCache(budget.account('cache', 'bench'))
  const windows = new WindowPool(budget.account('windows', 'bench'), 1 << 20)
  const cached = new CachedBlocks(cache, kernels)
  const hit = new Hit()
  const get = (at: Uint8Array, n: number): boolean => {
    const start = n * KEY_BYTES
    return table.get(cached, at, start, start + KEY_BYTES, hashKey(at, start, start + KEY_BYTES), MAX_SEQ, hit)
  }
  let found = 0
  const cold = ENTRIES / 10
  const coldFrom = performance.now()
  for (let i = 0; i < cold; i++) if (get(keys, picks[i]!)) found++
  console.log(`${'get, cache filling'.padEnd(34)} ${(cold / 1e3 / (performance.now() - coldFrom)).toFixed(2).padStart(9)} M/s`)
  best('get, all cached', 'M/s', ENTRIES / 1e6, () => { for (let i = 0; i < ENTRIES; i++) if (get(keys, picks[i]!)) found++ })
  best('get of absent keys', 'M/s', ENTRIES / 1e6, () => { for (let i = 0; i < ENTRIES; i++) if (get(absent, i)) found++ })
  const uncached = new CachedBlocks(new BlockCache(new Budget(0).account('cache', 'bench')), kernels)
  best('get, nothing cached', 'M/s', 0.02, () => {
    for (let i = 0; i < 20_000; i++) {
      const start = picks[i]! * KEY_BYTES
      table.get(uncached, keys, start, start + KEY_BYTES, hashKey(keys, start, start + KEY_BYTES), MAX_SEQ, hit)
    }
  })
  for (const [name, source] of [['scan, cached', cached], ['scan, streamed', new StreamedBlocks(kernels, 256 * 1024)]] as const) {
    best(name, 'M entries/s', ENTRIES / 1e6, () => {
      const cursor = table.cursor(source, windows)
      let sum = 0
      for (cursor.seekToFirst(); cursor.valid; cursor.next()) sum += cursor.valueEnd - cursor.valueStart
      cursor.close()
      if (sum !== ENTRIES * VALUE_BYTES) throw new Error(`${sum} bytes seen`)
    })
  }
  const backward = table.cursor(cached, windows)
  best('scan backward, cached', 'M entries/s', ENTRIES / 1e6, () => { for (backward.seekToLast(); backward.valid; backward.prev()) found++ })
  best('seek, cached', 'M/s', ENTRIES / 3 / 1e6, () => {
    for (let i = 0; i < ENTRIES / 3; i++) backward.seek(keys, picks[i]! * KEY_BYTES, picks[i]! * KEY_BYTES + KEY_BYTES)
  })
  backward.close()
  best('verify', 'MB/s of file', table.properties.fileBytes / 1e6, () => table.verify(kernels))
  file!.close()
} finally {
  rmSync(directory, { recursive: true })
}

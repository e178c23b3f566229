/**
 * Run by hand: `node dist/pages/page-pool.bench.js [MiB] [page KiB]`. Speed of inserting, evicting and reading pages that LZ4 brings
 * to a third, in MB/s of page bytes. Default: 256 MiB of 64 KiB pages, 16 MiB of them in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { Kernels } from '../kernels/kernels.ts'
import { nodeHost } from '../host/node/node-host.ts'
import { Budget } from '../memory/budget.ts'
import * as pageJobs from './page-jobs.ts'
import { PagePool } from './page-pool.ts'
import type { PageOptions, PagePoolOptions } from './page-pool.ts'
import type { Page } from './page.ts'
import { ScratchFile } from './scratch-file.ts'
import { pageBytes } from './testing/pools.ts'

const TOTAL_BYTES = Number(process.argv[2] ?? 256) * 2 ** 20
const PAGE_BYTES = Number(process.argv[3] ?? 64) * 1024
const LIMIT_BYTES = 16 * 2 ** 20
const PAGES = Math.floor(TOTAL_BYTES / PAGE_BYTES)
const ROUNDS = 3
const host = nodeHost()
const directory = mkdtempSync(join(tmpdir(), 'spillway-bench-'))
const kernels = new Kernels(65536)
const sources = Array.from({ length: 16 }, (_, i) => pageBytes(i + 1, PAGE_BYTES))
const target = new Uint8Array(PAGE_BYTES)
const runner = host.runner({
  worker: new URL(import.meta.url.endsWith('.ts') ? './testing/page-worker.ts' : './testing/page-worker.js', import.meta.url),
  module: pageJobs, mode: 'worker', heapBytes: 16 * 2 ** 20,
})
let files = 0

interface Figures { seconds: number; cpuSeconds: number }

function measure(best: Map<string, Figures>, name: string, run: () => void): void {
  const from = performance.now()
  const cpuFrom = process.cpuUsage()
  run()
  const cpu = process.cpuUsage(cpuFrom)
  const known = best.get(name) ?? { seconds: Infinity, cpuSeconds: Infinity }
  known.seconds = Math.min(known.seconds, (performance.now() - from) / 1000)
  known.cpuSeconds = Math.min(known.cpuSeconds, (cpu.user + cpu.system) / 1e6)
  best.set(name, known)
}

function round(best: Map<string, Figures>, name: string, options: Partial<PagePoolOptions>, pageOptions: PageOptions = {}): void {
  const budget = new Budget(4 * 2 ** 30)
  const account = budget.account('pages', 'bench')
  const scratch = new ScratchFile(host.files, join(directory, `pages-${files++}`), account)
  const pool = new PagePool(account, { kernels, scratch, limitBytes: LIMIT_BYTES, ...options })
  const pages: Page[] = []
  measure(best, `${name}: insert`, () => {
    for (let i = 0; i < PAGES; i++) {
      pages.push(pool.insert(sources[i % 16]!, 0, PAGE_BYTES, pageOptions))
      if (options.runner !== undefined) pool.maintain()
    }
  })
  measure(best, `${name}: read whole`, () => { for (const page of pages) pool.read(page, target, 0) })
  measure(best, `${name}: read 4 KiB of each`, () => { for (const page of pages) pool.read(page, target, 0, PAGE_BYTES - 4096, PAGE_BYTES) })
  const { evictionsCompressing, spillsScheduled, spillsCancelled, extentBytesResident, scratchBytes } = pool.stats()
  sizes.set(name, `${evictionsCompressing} evictions (${spillsScheduled - spillsCancelled} by jobs), ${(extentBytesResident / 1e6).toFixed(0)} MB in the tier, ${(scratchBytes / 1e6).toFixed(0)} MB in the file`)
  measure(best, `${name}: free`, () => { for (const page of pages) pool.free(page) })
  pool.close()
  scratch.close()
}

const sizes = new Map<string, string>()
const variants: Record<string, Partial<PagePoolOptions>> = {
  'in memory': { limitBytes: Infinity },
  'to the tier': { targetRssBytes: 2 * 2 ** 30 },
  'to the file': {},
  'to the file by jobs': { runner },
}
const best = new Map<string, Figures>()
for (let i = 0; i < ROUNDS; i++) {
  for (const [name, options] of Object.entries(variants)) round(best, name, options)
  round(best, 'to the file as is', {}, { asIs: true })
}
await runner.close()
rmSync(directory, { recursive: true })
for (const [name, text] of sizes) console.log(`${name}: ${text}`)
for (const [name, { seconds, cpuSeconds }] of best) {
  const rates = [seconds, cpuSeconds].map(each => (TOTAL_BYTES / 1e6 / each).toFixed(0).padStart(6))
  console.log(`${name.padEnd(40)} ${rates[0]} MB/s, ${rates[1]} per CPU second, ${(seconds / PAGES * 1e6).toFixed(1).padStart(6)} us a page`)
}

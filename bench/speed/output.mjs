// Raw lines of every version of Node in one directory, and what is made of them: results.md and chart.svg.
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mediansOf } from './medians.mjs'
import { OURS } from './plan.mjs'
import { section } from './report.mjs'

const CHARTED = ['put-1', 'put-128', 'batch-1000', 'overwrite-16', 'durable-16', 'get-hot-sync', 'scan-full', 'ycsb-a', 'cold-get-16']

export class RawResults {
  #path

  constructor(directory, nodeVersion) {
    mkdirSync(directory, { recursive: true })
    this.#path = join(directory, `${nodeVersion}.jsonl`)
  }

  /** Keeps what this run does not measure again: a part of it can be repeated. */
  begin(about, workloads, stores) {
    const kept = existsSync(this.#path) ? readLines(this.#path) : []
    const old = kept.find(line => line.about !== undefined)?.about
    const lines = kept.filter(line => line.workload !== undefined && !(workloads.includes(line.workload) && stores.includes(line.store)))
    const merged = { ...about, versions: { ...old?.versions, ...definedOf(about.versions) } }
    writeFileSync(this.#path, [{ about: merged }, ...lines].map(line => `${JSON.stringify(line)}\n`).join(''))
  }

  add(line) {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`)
  }
}

/** `plan`: workloads in the order of the report. `nodeVersion`: whose results the chart shows. Returns the Markdown. */
export async function writeReport(directory, plan, nodeVersion) {
  const sections = []
  for (const name of readdirSync(directory).filter(file => file.endsWith('.jsonl')).sort()) {
    const lines = readLines(join(directory, name))
    const { about } = lines.find(line => line.about !== undefined)
    const results = mediansOf(lines)
    sections.push(section(about, plan, results))
    if (about.node === nodeVersion) await writeChart(directory, about, results)
  }
  const text = ['# Speed beside other stores', '', HOW, '', ...sections].join('\n')
  writeFileSync(join(directory, 'results.md'), text)
  return text
}

const HOW = `\`npm run bench\` made this page from the lines beside it; the head of bench/main.mjs says what each workload is. Each group of workloads
of each store ran in a process of its own with a fresh directory, the stores in turn. Keys are 16 bytes in random order, values 100 bytes
(1 KiB where the name ends with 1k, and in cold-* and fill-capped) that compress to about a half. Unsynced writes are those that survive
the process but not the machine; durable ones are synced. Where work was stopped early the rate is that until then.`

async function writeChart(directory, about, results) {
  let chartSvg
  try {
    ({ chartSvg } = await import('./chart.mjs'))
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    return
  }
  const groups = CHARTED.filter(name => results.has(name)).map(workload => ({
    workload,
    bars: [...results.get(workload)].filter(([, result]) => result.perSecond > 0)
      .sort(([a], [b]) => Number(b === OURS) - Number(a === OURS))
      .map(([store, { perSecond }]) => ({ store, perSecond })),
  }))
  writeFileSync(join(directory, 'chart.svg'), chartSvg({
    title: 'Operations a second', subtitle: `Node ${about.node}, budget ${about.budgetMiB} MiB, ${about.cores} x ${about.cpu}`, groups,
  }))
}

function definedOf(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function readLines(path) {
  return readFileSync(path, 'utf8').split('\n').filter(text => text !== '').map(text => JSON.parse(text))
}

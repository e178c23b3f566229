// Results as Markdown: rates with the ratio to the best Node peer and its target, latencies, and what else was taken.
import { KEY_BYTES, MIB, OURS, ROCKSDB } from './plan.mjs'

const LIMIT = 'limit'

/** One comparison of ours with the best peer. `peers`: names. Undefined fields could not be measured. */
export function compare(stores, peers, { target, mostMaxMs, mostFirstMs, isAmplificationJudged }) {
  const ours = stores.get(OURS)
  const rates = peers.map(peer => stores.get(peer)?.perSecond).filter(rate => rate > 0)
  const ratio = ours?.perSecond === undefined || rates.length === 0 ? undefined : ours.perSecond / Math.max(...rates)
  const rocksdb = stores.get(ROCKSDB)?.perSecond
  const verdicts = []
  if (target !== undefined && ratio !== undefined) verdicts.push({ text: `${target} x`, isMet: ratio >= target })
  if (mostMaxMs !== undefined && ours !== undefined) verdicts.push({ text: `worst <= ${mostMaxMs} ms`, isMet: ours.maxMs <= mostMaxMs })
  if (mostFirstMs !== undefined && ours !== undefined) verdicts.push({ text: `first key <= ${mostFirstMs} ms`, isMet: ours.firstMs <= mostFirstMs })
  const level = stores.get('classic-level')
  if (isAmplificationJudged && ours?.writtenBytes !== undefined && level?.writtenBytes !== undefined) {
    verdicts.push({ text: "written <= classic-level's", isMet: amplification(ours) <= amplification(level) })
  }
  return { ratio, rocksdbRatio: ours?.perSecond === undefined || !(rocksdb > 0) ? undefined : ours.perSecond / rocksdb, verdicts }
}

export function amplification({ writtenBytes, count, valueBytes }) {
  return writtenBytes === undefined || !(count > 0) ? undefined : writtenBytes / (count * (KEY_BYTES + valueBytes))
}

/** The section of one version of Node. `plan`: workloads in their order; `results`: of `mediansOf`. */
export function section(about, plan, results) {
  const stores = [...new Set([...results.values()].flatMap(some => [...some.keys()]))].filter(store => store !== LIMIT)
  const peers = stores.filter(store => store !== OURS && store !== ROCKSDB)
  const node = [OURS, ...peers].filter(store => stores.includes(store))
  const hasRocksdb = stores.includes(ROCKSDB)
  const shown = plan.filter(({ name }) => results.has(name))
  return [
    `## Node ${about.node}`, '', describe(about, node), '',
    '### Thousand operations (rows, entries) a second', '',
    table(
      ['workload', ...node, 'ours / best peer', 'target', ...(hasRocksdb ? [ROCKSDB, 'ours / RocksDB'] : [])],
      shown.map(workload => rateRow(about, workload, results.get(workload.name), node, peers, hasRocksdb)),
    ), '',
    '### Latency: p99.9 in microseconds / worst in milliseconds', '',
    table(
      ['workload', ...node, ...(hasRocksdb ? [ROCKSDB] : [])],
      shown.filter(({ name }) => [...results.get(name).values()].some(result => result.maxMs !== undefined))
        .map(({ name }) => [name, ...cells([...node, ...(hasRocksdb ? [ROCKSDB] : [])], results.get(name), latency)]),
    ), '',
    '### Bytes written for each byte put / on disk, MiB / peak RSS, MiB / longest delay of the event loop, ms / CPU, s', '',
    table(
      ['workload', ...node, ...(hasRocksdb ? [ROCKSDB] : [])],
      shown.map(({ name, waits }) => [
        name, ...cells([...node, ...(hasRocksdb ? [ROCKSDB] : [])], results.get(name), result => taken(result, waits !== undefined)),
      ]),
    ), '',
    ...limits(results), ...firstKeys(results, stores), ...notes(shown, results, node),
  ].join('\n')
}

function nameOf({ name }, stores, about) {
  const { budgetMiB } = [...stores.values()].find(({ budgetMiB }) => budgetMiB !== undefined) ?? {}
  return budgetMiB === undefined || budgetMiB === about.budgetMiB ? name : `${name} (${budgetMiB} MiB)`
}

function rateRow(about, workload, stores, node, peers, hasRocksdb) {
  const { ratio, rocksdbRatio, verdicts } = compare(stores, peers, workload)
  return [
    nameOf(workload, stores, about), ...cells(node, stores, thousands), times(ratio),
    verdicts.map(({ text, isMet }) => `${text} ${isMet ? '✅' : '❌'}`).join(', '),
    ...(hasRocksdb ? [...cells([ROCKSDB], stores, thousands), times(rocksdbRatio)] : []),
  ]
}

function cells(names, stores, format) {
  return names.map(name => {
    const result = stores.get(name)
    return result === undefined ? '-' : format(result)
  })
}

function thousands({ perSecond, notes }) {
  if (perSecond === undefined) return '-'
  const thousand = perSecond / 1000
  const digits = thousand >= 100 ? 0 : thousand >= 10 ? 1 : 2
  return thousand.toFixed(digits) + (notes.length > 0 ? ' *' : '')
}

function latency({ p999us, maxMs }) {
  return maxMs === undefined ? '-' : `${short(p999us)} / ${short(maxMs)}`
}

function taken(result, hasWritten) {
  const written = hasWritten ? amplification(result) : undefined
  return [
    written === undefined ? '-' : written.toFixed(2), mebibytes(result.diskBytes), mebibytes(result.peakRssBytes),
    result.loopDelayMaxMs === undefined ? '-' : short(result.loopDelayMaxMs),
    result.cpuSeconds === undefined ? '-' : result.cpuSeconds.toFixed(1),
  ].join(' / ')
}

function firstKeys(results, stores) {
  const found = results.get('delete-90')
  if (found === undefined) return []
  const rows = stores.filter(store => found.get(store)?.firstMs !== undefined).map(store => {
    const { firstMs, medianMs } = found.get(store)
    return [store, short(firstMs), medianMs === undefined ? '-' : short(medianMs)]
  })
  return ['### First key behind the tombstones of 90 % of the store, ms', '', table(['store', 'first seek', 'median of 3'], rows), '']
}

function limits(results) {
  const rows = []
  for (const [workload, stores] of results) {
    const limit = stores.get(LIMIT)
    if (limit !== undefined) rows.push([workload, `${short(limit.value)} ${limit.unit}`, limit.p99us === undefined ? '-' : `${short(limit.p99us)} us`])
  }
  return rows.length === 0 ? [] : ['### Limits of the machine', '', table(['what', 'mean', 'p99'], rows), '']
}

function notes(shown, results, node) {
  const lines = []
  for (const { name } of shown) {
    for (const store of node) for (const note of results.get(name).get(store)?.notes ?? []) lines.push(`- ${name}, ${store}: ${note}`)
  }
  return lines.length === 0 ? [] : ['\\* Notes', '', ...lines, '']
}

function describe(about, node) {
  const versions = [...node, ROCKSDB].filter(store => about.versions[store] !== undefined).map(store => `${store} ${about.versions[store]}`).join(', ')
  return `${versions}. Budget ${about.budgetMiB} MiB each where none is said; ${about.rows} rows stand for "1 M"; medians of up to ${about.rounds} rounds, as many as there are lines, `
    + `long workloads once. ${about.cores} x ${about.cpu}, ${about.ramMiB} MiB of RAM, ${about.kernel}`
    + `${about.fileSystem === undefined ? '' : `, ${about.fileSystem}`}; ${about.date}.`
}

export function table(head, rows) {
  const line = cellsOf => `| ${cellsOf.join(' | ')} |`
  return [line(head), line(head.map((_, n) => n === 0 ? '---' : '---:')), ...rows.map(line)].join('\n')
}

function times(ratio) {
  return ratio === undefined ? '-' : `${ratio.toFixed(2)} x`
}

function mebibytes(bytes) {
  return bytes === undefined ? '-' : Math.round(bytes / MIB)
}

function short(value) {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

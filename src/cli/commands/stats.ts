import { formatSize } from '../../base/sizes.ts'
import type { MemoryReport } from '../../memory/budget.ts'
import type { StoreStats } from '../../store/api/reports.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'
import { print, printJson } from '../output.ts'
import { countOf, formatCount, formatDuration, textBar, textPairs, textTable } from '../table.ts'
import { readStore } from '../with-store.ts'

const BAR_COLUMNS = 24

export const statsCommand: Command = {
  name: 'stats',
  summary: 'show runs, bytes, amplification, cache and memory',
  usage: '<dir>',
  details: ['Written bytes, stalls and cache figures count from the moment the store was opened, so here they show only the work of opening.'],
  options: { memory: { type: 'boolean', help: 'only the memory table' } },
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    const { stats, memory } = await readStore(args, io, async store => ({ stats: store.stats(), memory: store.memory() }))
    const onlyMemory = args.flag('memory')
    if (args.flag('json')) await printJson(io.stdout, onlyMemory ? memory : { ...stats, memory })
    else {
      const lines = onlyMemory ? memoryLines(memory) : [...storeLines(stats), '', ...runLines(stats), '', ...memoryLines(memory)]
      await print(io.stdout, `${lines.join('\n')}\n`)
    }
    return EXIT.ok
  },
}

function storeLines(stats: StoreStats): string[] {
  const { written, cache, recovery, stalls, snapshots, governor } = stats
  const lookups = cache.hits + cache.misses
  const entries = stats.runs.reduce((sum, run) => sum + run.entries, 0)
  const memtableEntries = stats.memtables.reduce((sum, memtable) => sum + memtable.entries, 0)
  return textPairs([
    ['strategy', `${stats.strategy.name} (${Object.entries(stats.strategy.parameters).map(([name, value]) => `${name} ${value >= Number.MAX_SAFE_INTEGER ? 'unlimited' : value}`).join(', ')})`],
    ['tables', `${formatCount(stats.tables)} of ${formatSize(stats.tableBytes)} in ${countOf(stats.runs.length, 'run')}, ${countOf(entries, 'entry', 'entries')}, ${countOf(stats.valueFiles, 'value file')}`],
    ['memtables', `${stats.memtables.length}, ${countOf(memtableEntries, 'entry', 'entries')}`],
    ['history', `sequence ${formatCount(stats.lastSeq)}, manifest ${stats.manifest}, writer epoch ${stats.epoch}`],
    ['recovered', `${countOf(recovery.operations, 'operation')} from ${countOf(recovery.logSegments, 'log segment')} in ${formatDuration(recovery.elapsedMs / 1000)}`
      + `${recovery.droppedBytes > 0 ? `, ${formatSize(recovery.droppedBytes)} of an unfinished write dropped` : ''}`],
    ['written', `${formatSize(written.userBytes)} by the user, log ${formatSize(written.logBytes)}, flushes ${formatSize(written.flushBytes)}, `
      + `merges ${formatSize(written.mergeBytes)}: amplification ${written.amplification.toFixed(2)}`],
    ['work', `${countOf(stats.flushes, 'flush', 'flushes')}, ${countOf(stats.merges, 'merge')}, ${stats.background === 'worker' ? 'in a worker' : `on the main thread${stats.backgroundReason === undefined ? '' : ` (${stats.backgroundReason})`}`}`],
    ['cache', `${countOf(cache.blocks, 'block')}, ${formatSize(cache.bytes)}, ${lookups === 0 ? 'no lookups' : `${(100 * cache.hits / lookups).toFixed(1)}% hits`}`],
    ['stalls', stallText(stalls)],
    ['write memory', `${formatSize(governor.credits.usedBytes)} of ${formatSize(governor.credits.limitBytes)} in use, ${formatSize(stats.unflushedBytes)} unflushed; `
      + `memtables of ${formatSize(governor.memtable.sizeBytes)} at ${formatSize(governor.memtable.rateBytesPerSecond)}/s`
      + (governor.memtable.pressure === undefined ? '' : `, pressure ${governor.memtable.pressure.toFixed(2)}${governor.memtable.pressureKnown ? '' : ' (last known)'}`)],
    ['boundary', governor.tuner.enabled ? governor.tuner.standing : 'fixed'],
    ['open', `${countOf(snapshots.open, 'snapshot')}, ${countOf(stats.iterators, 'iterator')}`],
    ...stats.lastBackgroundError === undefined ? [] : [['last error', stats.lastBackgroundError] as const],
  ])
}

function runLines(stats: StoreStats): string[] {
  if (stats.runs.length === 0) return ['No tables yet.']
  const most = Math.max(...stats.runs.map(run => run.bytes))
  return textTable(
    [
      { title: 'level', align: 'right' }, { title: 'run', align: 'right' }, { title: 'tables', align: 'right' },
      { title: 'entries', align: 'right' }, { title: 'deletes', align: 'right' }, { title: 'bytes', align: 'right' }, { title: '' },
    ],
    stats.runs.map(run => [
      String(run.level), String(run.id), formatCount(run.tables), formatCount(run.entries), formatCount(run.deletes),
      formatSize(run.bytes), textBar(run.bytes / most, BAR_COLUMNS),
    ]),
  )
}

/** `#`: current use; `-`: peak. */
function memoryLines(memory: MemoryReport): string[] {
  const { budgetBytes, usedBytes, highWaterBytes, denied, accounts } = memory
  const right = 'right' as const
  const row = (name: string, bytes: number, peakBytes: number, bound: string): string[] => [
    name, formatSize(bytes), formatShare(bytes / budgetBytes), formatSize(peakBytes), textBar(bytes / budgetBytes, BAR_COLUMNS, peakBytes / budgetBytes), bound,
  ]
  return [
    ...textTable(
      [
        { title: 'memory' }, { title: 'bytes', align: right }, { title: 'share', align: right }, { title: 'peak', align: right },
        { title: 'of the budget' }, { title: 'bound' },
      ],
      [
        ...Object.entries(accounts).sort(([, a], [, b]) => b.bytes - a.bytes || b.highWaterBytes - a.highWaterBytes)
          .map(([name, account]) => row(name, account.bytes, account.highWaterBytes, account.bound)),
        row('all', usedBytes, highWaterBytes, `budget ${formatSize(budgetBytes)}`),
      ],
    ),
    '',
    `${formatSize(budgetBytes - usedBytes)} of ${formatSize(budgetBytes)} are free; ${countOf(denied, 'lease')} denied since the store was opened`,
  ]
}

function formatShare(share: number): string {
  return `${(100 * share).toFixed(1)}%`
}

function stallText({ count, totalMs, longestMs, byCause, current, verdict }: StoreStats['stalls']): string {
  if (count === 0 && current === undefined && verdict.delayMs === 0) return 'none'
  const causes = Object.entries(byCause).filter(([, tally]) => tally.count > 0).map(([cause, tally]) => `${cause} ${formatDuration(tally.totalMs / 1000)}`)
  const now = current === undefined ? [] : [`waiting now for ${current.cause}, ${formatDuration(current.ageMs / 1000)}`]
  if (verdict.delayMs > 0) now.push(`delayed by ${verdict.delayMs.toFixed(1)} ms now: ${verdict.cause}`)
  const past = count === 0 ? [] : [`${formatCount(count)} in ${formatDuration(totalMs / 1000)}, longest ${formatDuration(longestMs / 1000)} (${causes.join(', ')})`]
  return [...past, ...now].join('; ')
}

/** spillway stats: what the store holds, wrote and keeps in memory. */
import { formatSize } from '../../base/sizes.ts'
import type { MemoryReport, StoreStats } from '../../store/types.ts'
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
  details: ['Written bytes, stalls and cache figures count from the moment the store was opened, so here they show what opening did.'],
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
  const { written, cache, recovery, stalls, snapshots } = stats
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
    ['work', `${countOf(stats.flushes, 'flush', 'flushes')}, ${countOf(stats.merges, 'merge')}, ${stats.background === 'worker' ? 'in a worker' : 'on the main thread'}`],
    ['cache', `${countOf(cache.blocks, 'block')}, ${formatSize(cache.bytes)}, ${lookups === 0 ? 'no lookups' : `${(100 * cache.hits / lookups).toFixed(1)}% hits`}`],
    ['stalls', `${stalls.count}, ${formatDuration(stalls.totalMs / 1000)}${stalls.current === undefined ? '' : `; now: ${stalls.current.cause}`}`],
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

function memoryLines(memory: MemoryReport): string[] {
  const { budgetBytes, usedBytes, highWaterBytes, denied, accounts } = memory
  const right = 'right' as const
  const table = textTable(
    [{ title: 'memory' }, { title: 'bytes', align: right }, { title: 'peak', align: right }, { title: 'of the budget' }, { title: 'bound' }],
    [
      ...Object.entries(accounts).sort(([, a], [, b]) => b.bytes - a.bytes).map(([name, account]) => [
        name, formatSize(account.bytes), formatSize(account.highWaterBytes), textBar(account.bytes / budgetBytes, BAR_COLUMNS), account.bound,
      ]),
      ['all', formatSize(usedBytes), formatSize(highWaterBytes), textBar(usedBytes / budgetBytes, BAR_COLUMNS), `budget ${formatSize(budgetBytes)}`],
    ],
  )
  return [...table, `${countOf(denied, 'lease')} denied`]
}

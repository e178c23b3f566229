import { formatSize } from '../../base/sizes.ts'
import { RANGE_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'
import { compactionNames } from '../names.ts'
import { print, printJson } from '../output.ts'
import { rangeOf } from '../range.ts'
import { countOf, formatDuration } from '../table.ts'
import { withStore } from '../with-store.ts'

export const compactCommand: Command = {
  name: 'compact',
  summary: 'merge tables and drop what was deleted or overwritten',
  usage: '<dir>',
  examples: ['spillway compact ./data', 'spillway compact ./data --prefix session:'],
  options: {
    compaction: { type: 'string', value: 'NAME', help: 'tiered or leveled, kept by the store (default: unchanged)' },
    ...RANGE_OPTIONS,
  },
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    const range = rangeOf(args)
    const compaction = args.choice('compaction', compactionNames)
    const startMs = performance.now()
    const result = await withStore(args, io, false, async store => {
      const before = store.stats()
      await store.compact(range.gte === undefined && range.lt === undefined ? undefined : range)
      const after = store.stats()
      return {
        tablesBefore: before.tables, tablesAfter: after.tables,
        tableBytesBefore: before.tableBytes, tableBytesAfter: after.tableBytes,
        mergeBytes: after.written.mergeBytes - before.written.mergeBytes,
      }
    }, compaction === undefined ? {} : { compaction })
    const seconds = (performance.now() - startMs) / 1000
    if (args.flag('json')) await printJson(io.stdout, { ...result, seconds })
    else {
      await print(io.stdout, `Compacted ${countOf(result.tablesBefore, 'table')} of ${formatSize(result.tableBytesBefore)} into `
        + `${result.tablesAfter} of ${formatSize(result.tableBytesAfter)} in ${formatDuration(seconds)}.\n`)
    }
    return EXIT.ok
  },
}

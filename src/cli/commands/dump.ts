import { statSync } from 'node:fs'
import type { Command } from '../command.ts'
import { CommandError } from '../errors.ts'
import { EXIT } from '../exit.ts'
import { Output } from '../output.ts'
import { readingBudgetBytes } from '../with-store.ts'

/** Lines between yields to the event loop, so that signals are handled. */
const LINES_A_TURN = 1000

export const dumpCommand: Command = {
  name: 'dump',
  summary: 'show the contents of one file of a store',
  usage: '<file>',
  details: [
    'Reads a manifest, a log segment, a table or a value file in any directory: no store is opened and no lock is taken. The type comes from the file name, or from the first or last bytes.',
    'Log: header, frames, operations. Table: properties, range tombstones, index nodes, filters, data blocks with their keys. Sequence numbers are those in the file: the offset that a manifest gives a table is not added. '
    + 'Manifest: all fields. Value file: header, beginning, checksums.',
    'Exit code 1 if anything is damaged; each damaged place is reported with its offset, and readable parts are still shown. An unfinished write at the end of a log is left by a crash and is not damage. '
    + '--json prints one object a line, the last one with the number of damaged places.',
  ],
  examples: ['spillway dump ./data/00000007.log', 'spillway dump ./data/00000009.table --entries | less', 'spillway dump ./data/manifest-00000012 --json'],
  options: { entries: { type: 'boolean', help: 'table: also show each entry' } },
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    const path = args.positionals[0]!
    if (!statSync(path).isFile()) throw new CommandError('UNREADABLE_INPUT', `${path} is no file. spillway dump shows one file of a store`, { file: path })
    const { dumpFile } = await import('../dump/dump-file.ts')
    const { jsonLine, textLine } = await import('../dump/text.ts')
    const lineOf = args.flag('json') ? jsonLine : textLine
    const output = new Output(io.stdout)
    let lines = 0
    let isDamaged = false
    try {
      for (const record of dumpFile(path, { budgetBytes: args.size('budget') ?? readingBudgetBytes(), withEntries: args.flag('entries') })) {
        isDamaged ||= record.type === 'damage'
        output.add(lineOf(record))
        if (output.full) await output.drain()
        else if (++lines % LINES_A_TURN === 0) await new Promise(resolve => setImmediate(resolve))
        if (output.closed) break
      }
    } finally {
      await output.finish()
    }
    return isDamaged ? EXIT.failed : EXIT.ok
  },
}

import { createWriteStream } from 'node:fs'
import { PROGRESS_OPTIONS, RANGE_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { UsageError } from '../errors.ts'
import { EXIT } from '../exit.ts'
import { checkFormat, formatOfName, makeWriter } from '../formats/format.ts'
import type { FormatOptions } from '../formats/format.ts'
import { formatNames } from '../names.ts'
import { Output, print, printJson } from '../output.ts'
import { progressOf } from '../progress-option.ts'
import { rangeOf } from '../range.ts'
import { countOf, formatDecimalSize, formatDuration } from '../table.ts'
import { walk } from '../walk.ts'
import { readStore } from '../with-store.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'write entries as jsonl, csv, lines or nul',
  usage: '<dir> [-o file]',
  details: [
    'jsonl and csv hold any entry. jsonl writes {"key", "value"}, with keyBase64 or valueBase64 for bytes that are not UTF-8. lines and nul refuse entries they cannot hold; with --separator the value follows the key.',
    'import reads it back with the same --format and --separator. After --no-header use --no-header --key 1 --value 2, or --no-header --key 1 --keys-only for keys only.',
    'Exports a snapshot. Stops without an error when the reader of stdout goes away.',
  ],
  examples: ['spillway export ./data -o backup.jsonl', 'spillway export ./data --prefix user: --format csv | head'],
  options: {
    format: { type: 'string', value: 'NAME', help: 'jsonl, csv, tsv, lines or nul (default: by file name, else jsonl)' },
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write here instead of stdout' },
    separator: { type: 'string', value: 'TEXT', help: 'between key and value (lines, nul), or between fields (csv)' },
    'no-header': { type: 'boolean', help: 'csv: no header row' },
    'keys-only': { type: 'boolean', help: 'omit values' },
    reverse: { type: 'boolean', help: 'from the last key to the first' },
    limit: { type: 'string', value: 'N', help: 'at most N entries' },
    ...RANGE_OPTIONS,
    ...PROGRESS_OPTIONS,
  },
  positionals: { min: 1, max: 1 },
  stopsItself: true,

  async run(args, io) {
    const file = args.text('output')
    const format = args.choice('format', formatNames) ?? (file === undefined ? undefined : formatOfName(file)) ?? 'jsonl'
    const options: FormatOptions = { separator: args.text('separator'), header: !args.flag('no-header'), keysOnly: args.flag('keys-only') }
    checkFormat(format, options)
    if (/\.(?:gz|zst)$/i.test(file ?? '')) throw new UsageError(`--output ${file}: export does not compress. Pipe it instead, e.g. spillway export ${args.directory} | gzip`)
    const limit = args.count('limit')
    const range = { ...rangeOf(args), reverse: args.flag('reverse'), ...limit !== undefined && { limit } }
    const startMs = performance.now()

    return readStore(args, io, async store => {
      const stream = file === undefined || file === '-' ? undefined : createWriteStream(file)
      // The output reports errors; this event may come after it has finished.
      stream?.on('error', () => {})
      const output = new Output(stream ?? io.stdout)
      const writer = makeWriter(format, options)
      // On a terminal the entries themselves show the progress.
      const showsProgress = args.flag('progress') || stream !== undefined || io.stdout.isTTY !== true
      const progress = showsProgress ? progressOf(args, io, 'Exporting') : undefined
      let rows = 0
      try {
        writer.begin(output)
        await walk(store, range, (key, value) => {
          writer.write(key, value, output)
          rows++
        }, async () => {
          if (output.full) await output.drain()
          if (progress?.due === true) progress.update({ count: rows, bytes: output.bytes, memory: store.memory() })
          return !output.closed && !io.signal.aborted
        })
      } finally {
        progress?.finish(true)
        await output.finish()
        if (stream !== undefined) await new Promise<void>(resolve => stream.close(() => resolve()))
      }
      const seconds = (performance.now() - startMs) / 1000
      if (args.flag('json')) {
        const complete = !output.closed && !io.signal.aborted
        await printJson(stream === undefined ? io.stderr : io.stdout, { rows, bytes: output.bytes, seconds, file: file ?? null, complete })
      } else if (stream !== undefined || io.signal.aborted) {
        const how = io.signal.aborted ? 'Interrupted: exported' : 'Exported'
        await print(io.stderr, `${how} ${countOf(rows, 'row')}, ${formatDecimalSize(output.bytes)} in ${formatDuration(seconds)}.\n`)
      }
      return io.signal.aborted ? Number(io.signal.reason) : EXIT.ok
    })
  },
}

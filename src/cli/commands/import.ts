import { PROGRESS_OPTIONS } from '../command.ts'
import type { Args, Command } from '../command.ts'
import { CommandError, UsageError } from '../errors.ts'
import { escapeText } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { checkFormat, formatOfName } from '../formats/format.ts'
import type { FormatOptions } from '../formats/format.ts'
import { inputsOf } from '../input.ts'
import type { Io, Store } from '../io.ts'
import { compactionNames, durabilityNames, formatNames } from '../names.ts'
import { print, printJson } from '../output.ts'
import { progressOf } from '../progress-option.ts'
import { formatSize } from '../../base/sizes.ts'
import { countOf, formatCount, formatDecimalSize, formatDuration } from '../table.ts'
import { withStore } from '../with-store.ts'
import { importInput, Tally } from './import-input.ts'

export const importCommand: Command = {
  name: 'import',
  summary: 'read records from files or stdin into a store',
  usage: '<dir> [file ...]',
  details: [
    'Reads the files in order, or stdin ("-" or no file). The format is taken from the file name (.jsonl, .ndjson, .csv, .tsv, also before .gz and .zst) unless given; else "lines", unless the first line looks like another format. gzip, zstd (if Node.js supports it) and UTF-16 with a byte order mark are decoded; other compressed files are refused.',
    'jsonl: an object or a [key, value] array per line. --key and --value name fields (a.b for nested ones; default "key"). Text is stored unchanged, other values as their JSON text, so numbers keep their digits. Without --value the whole line is the value. Without --key and --value, {"key", "value"} lines of an export are split into key and value, keyBase64 and valueBase64 included.',
    'csv, tsv: RFC 4180; rows may also end in CR alone. --key and --value are column names or numbers from 1. Without --value the row is stored as a JSON object (an array with --no-header). Without --key and --value, a file with only the columns key and value, or only key, uses these.',
    'lines, nul: each line, or each record ended by a zero byte, is a key with an empty value; --separator splits key and value. Lines are text: one with a zero byte is a bad record.',
    'The last value of a repeated key is kept. --on-error skip still stops where the rest of a file is ambiguous: at an unreadable header or a quote that is never closed. Ctrl-C stops cleanly: imported records stay.',
  ],
  examples: [
    'spillway import ./data users.jsonl --key id',
    'spillway import ./data cities.csv --key name --value population',
    "find / -print0 | spillway import ./files --format nul",
  ],
  options: {
    format: { type: 'string', value: 'NAME', help: 'jsonl, csv, tsv, lines or nul' },
    key: { type: 'string', value: 'FIELD', help: 'field or column of the key' },
    value: { type: 'string', value: 'FIELD', help: 'field or column of the value' },
    separator: { type: 'string', value: 'TEXT', help: 'between key and value (lines, nul), or between fields (csv)' },
    'no-header': { type: 'boolean', help: 'csv: the first row is data' },
    'keys-only': { type: 'boolean', help: 'jsonl, csv: store empty values' },
    'on-error': { type: 'string', value: 'WHAT', help: 'at an unreadable record: stop (default) or skip' },
    'max-record': { type: 'string', value: 'SIZE', help: 'maximum size of a record (default 16 MiB)' },
    durability: { type: 'string', value: 'LEVEL', help: 'none, os (default) or disk, for each batch' },
    compaction: { type: 'string', value: 'NAME', help: 'tiered or leveled (default: unchanged)' },
    ...PROGRESS_OPTIONS,
  },
  positionals: { min: 1, max: Infinity },
  stopsItself: true,

  async run(args, io) {
    const format = args.choice('format', formatNames)
    const durability = args.choice('durability', durabilityNames)
    const compaction = args.choice('compaction', compactionNames)
    const skips = args.choice('on-error', ['stop', 'skip']) === 'skip'
    const options: FormatOptions = {
      key: args.text('key'), value: args.text('value'), separator: args.text('separator'),
      header: !args.flag('no-header'), keysOnly: args.flag('keys-only'), maxRecordBytes: args.size('max-record'),
    }
    const inputs = inputsOf(args.positionals.slice(1), io)
    if (options.keysOnly && options.value !== undefined) throw new UsageError('--keys-only and --value exclude each other')
    for (const input of inputs) {
      const used = format ?? formatOfName(input.name) ?? 'lines'
      checkFormat(used, options)
      if (options.keysOnly && (used === 'lines' || used === 'nul')) throw new UsageError(`--keys-only is for jsonl and csv; ${used} without --separator has keys only`)
    }

    const tally = new Tally()
    const startMs = performance.now()
    const open = { ...durability && { durability }, ...compaction && { compaction } }
    return withStore(args, io, true, async store => {
      const progress = progressOf(args, io, 'Importing')
      const total = inputs.reduce<number | undefined>((sum, input) => sum === undefined || input.bytes === undefined ? undefined : sum + input.bytes, 0)
      const update = (): void => {
        if (progress?.due !== true) return
        progress.update({ count: tally.rows, bytes: tally.bytes, done: tally.bytes, total, memory: store.memory() })
      }
      let failure: unknown
      try {
        for (const input of inputs) {
          await importInput({ store, format, options, skips, tally, signal: io.signal, update }, input)
        }
      } catch (error) {
        failure = error
      }
      progress?.finish(true)
      if (failure === undefined && tally.rows === 0 && tally.bad > 0 && !io.signal.aborted) {
        failure = new CommandError('NOTHING_READ', `no record could be read: ${tally.bad === 1 ? 'the only record is' : `all ${countOf(tally.bad, 'record')} are`} bad. Is the format right?`)
      }
      // After an interruption the log is enough.
      if (failure === undefined && !io.signal.aborted) await store.flush()
      await report(args, io, store, tally, (performance.now() - startMs) / 1000, failure)
      if (failure !== undefined) throw failure
      return io.signal.aborted ? Number(io.signal.reason) : EXIT.ok
    }, open)
  },
}

async function report(args: Args, io: Io, store: Store, tally: Tally, seconds: number, failure: unknown): Promise<void> {
  const { budgetBytes, highWaterBytes } = store.memory()
  const { amplification } = store.stats().written
  const rowsPerSecond = tally.rows / Math.max(seconds, 1e-3)
  const interrupted = io.signal.aborted
  if (args.flag('json')) {
    await printJson(io.stdout, {
      rows: tally.rows, inputBytes: tally.bytes, seconds, rowsPerSecond, writeAmplification: amplification,
      memory: { budgetBytes, peakBytes: highWaterBytes }, badRecords: tally.bad, firstBadRecords: tally.badRecords,
      interrupted, complete: !interrupted && failure === undefined,
    })
    return
  }
  const lines = [
    `${interrupted ? 'Interrupted: imported' : failure === undefined ? 'Imported' : 'Stopped: imported'} ${countOf(tally.rows, 'row')} `
    + `from ${formatDecimalSize(tally.bytes)} of input in ${formatDuration(seconds)} `
    + `(${formatCount(rowsPerSecond)} rows/s, ${formatDecimalSize(tally.bytes / Math.max(seconds, 1e-3))}/s). `
    + `Write amplification ${amplification.toFixed(2)}, peak memory ${formatSize(highWaterBytes)} of ${formatSize(budgetBytes)}.`,
  ]
  if (tally.bad > 0) {
    lines.push(`${countOf(tally.bad, 'record')} could not be read and ${tally.bad === 1 ? 'was' : 'were'} skipped:`)
    for (const { file, line, lastLine, message } of tally.badRecords) {
      const where = lastLine === undefined ? `line ${line}` : `lines ${line} to ${lastLine}`
      lines.push(`  ${escapeText(`${file}, ${where}: ${message}`)}`)
    }
    if (tally.bad > tally.badRecords.length) lines.push('  ...')
  }
  await print(io.stdout, `${lines.join('\n')}\n`)
}

/**
 * spillway import: records from files or stdin into a store.
 *
 * Invariants
 * 1. Holds one chunk of input, its records, and one record that is not complete, whatever the size of the input.
 * 2. When it stops early, every record before the one it stopped at is in the store.
 */
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../store/operations.ts'
import type { BatchOperation } from '../../store/types.ts'
import { PROGRESS_OPTIONS } from '../command.ts'
import type { Args, Command } from '../command.ts'
import { CommandError } from '../errors.ts'
import { escapeText } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { checkFormat, formatOfName, makeReader } from '../formats/format.ts'
import type { FormatOptions } from '../formats/format.ts'
import type { RecordSink } from '../formats/record.ts'
import { chunksOf, inputsOf } from '../input.ts'
import type { Input } from '../input.ts'
import type { Io, Store } from '../io.ts'
import { compactionNames, durabilityNames, formatNames } from '../names.ts'
import { print, printJson } from '../output.ts'
import { progressOf } from '../progress-option.ts'
import { formatSize } from '../../base/sizes.ts'
import { countOf, formatCount, formatDecimalSize, formatDuration } from '../table.ts'
import { withStore } from '../with-store.ts'

const BATCH_OPERATIONS = 1000
const BATCH_BYTES = 256 * 1024
/** Bad records described in the summary. */
const BAD_SHOWN = 10

interface Tally {
  rows: number
  /** Of input read. */
  bytes: number
  bad: number
  badRecords: { file: string, line: number, message: string }[]
}

export const importCommand: Command = {
  name: 'import',
  summary: 'read records from files or stdin into a store',
  usage: '<dir> [file ...]',
  details: [
    'Reads the files in order, or stdin ("-" or no file). The format is taken from the file name (.jsonl, .ndjson, .csv, .tsv) unless given; else "lines".',
    'jsonl: an object or a [key, value] array per line. --key and --value name fields (a.b for nested ones; default "key"). Text is stored as it is, anything else as JSON. Without --value the whole line is the value; with neither, {"key", "value"} lines as export writes them are taken apart, keyBase64 and valueBase64 included.',
    'csv, tsv: RFC 4180. --key and --value are column names or numbers from 1. Without --value the row is stored as a JSON object (an array with --no-header); with neither, a file with just the columns key and value is taken as such.',
    'lines, nul: each line, or each record ended by a zero byte, is a key with an empty value; --separator splits key and value.',
    'A key that occurs twice keeps its last value. Ctrl-C stops cleanly: what was imported stays.',
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
    'on-error': { type: 'string', value: 'WHAT', help: 'a record that cannot be read: stop (default) or skip' },
    'max-record': { type: 'string', value: 'SIZE', help: 'longest record (default 16 MiB)' },
    durability: { type: 'string', value: 'LEVEL', help: 'none, os (default) or disk, of each batch' },
    compaction: { type: 'string', value: 'NAME', help: 'tiered or leveled (default: as the store is)' },
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
      header: !args.flag('no-header'), keysOnly: false, maxRecordBytes: args.size('max-record'),
    }
    const inputs = inputsOf(args.positionals.slice(1), io)
    for (const input of inputs) checkFormat(format ?? formatOfName(input.name) ?? 'lines', options)

    const tally: Tally = { rows: 0, bytes: 0, bad: 0, badRecords: [] }
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
          const reader = (sink: RecordSink) => makeReader(format ?? formatOfName(input.name) ?? 'lines', options, sink)
          await importInput(store, input, reader, skips, tally, io.signal, update)
        }
      } catch (error) {
        failure = error
      }
      progress?.finish(true)
      if (failure === undefined) await store.flush()
      await report(args, io, store, tally, (performance.now() - startMs) / 1000, failure)
      if (failure !== undefined) throw failure
      return io.signal.aborted ? Number(io.signal.reason) : EXIT.ok
    }, open)
  },
}

async function importInput(
  store: Store, input: Input, makeInputReader: (sink: RecordSink) => ReturnType<typeof makeReader>,
  skips: boolean, tally: Tally, signal: AbortSignal, update: () => void,
): Promise<void> {
  const records: BatchOperation<Uint8Array, Uint8Array>[] = []
  const bad = (line: number, message: string): void => {
    if (!skips) {
      throw new CommandError('BAD_RECORD', `${input.name}, line ${line}: ${message}. --on-error skip goes on without it`, { file: input.name, line })
    }
    tally.bad++
    if (tally.badRecords.length < BAD_SHOWN) tally.badRecords.push({ file: input.name, line, message })
  }
  const reader = makeInputReader({
    put(key, value, line) {
      // The store would refuse the whole batch and could not say where it came from.
      if (key.length > MAX_KEY_BYTES) bad(line, `the key has ${formatCount(key.length)} bytes, keys have at most ${formatCount(MAX_KEY_BYTES)}`)
      else if (value.length > MAX_VALUE_BYTES) bad(line, `the value has ${formatCount(value.length)} bytes, values have at most ${formatCount(MAX_VALUE_BYTES)}`)
      else records.push({ type: 'put', key, value })
    },
    bad,
  })
  /** The records of a chunk share its memory, so all are written before the next one is read. */
  const write = async (): Promise<void> => {
    for (let from = 0; from < records.length && !signal.aborted;) {
      let bytes = 0
      let to = from
      while (to < records.length && to - from < BATCH_OPERATIONS && bytes < BATCH_BYTES) {
        const record = records[to++]!
        bytes += record.key.length + (record.type === 'put' ? record.value.length : 0)
      }
      await store.batch(records.slice(from, to))
      tally.rows += to - from
      from = to
      update()
    }
    records.length = 0
  }
  try {
    for await (const chunk of chunksOf(input, signal)) {
      tally.bytes += chunk.length
      reader.push(chunk)
      await write()
      update()
    }
    // A record cut off by Ctrl-C is not a record.
    if (!signal.aborted) reader.end()
  } catch (error) {
    if (error instanceof CommandError) await write()
    throw error
  }
  await write()
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
    for (const { file, line, message } of tally.badRecords) lines.push(`  ${escapeText(`${file}, line ${line}: ${message}`)}`)
    if (tally.bad > tally.badRecords.length) lines.push('  ...')
  }
  await print(io.stdout, `${lines.join('\n')}\n`)
}

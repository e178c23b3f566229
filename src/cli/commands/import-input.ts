/**
 * Imports the records of one input in batches.
 *
 * Invariants
 * 1. Memory holds one chunk of input, its records, and one incomplete record.
 * 2. When the import stops early, every record before the last one read is in the store.
 */
import { SpillwayError } from '../../base/errors.ts'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../store/api/operations.ts'
import type { BatchOperation } from '../../store/api/options.ts'
import { decoded } from '../decode.ts'
import { CommandError } from '../errors.ts'
import { formatOfName, makeReader } from '../formats/format.ts'
import type { FormatOptions } from '../formats/format.ts'
import { formatLookedLike } from '../formats/first-line.ts'
import type { RecordReader } from '../formats/record.ts'
import { chunksOf } from '../input.ts'
import type { Input } from '../input.ts'
import type { Store } from '../io.ts'
import type { FormatName } from '../names.ts'
import { formatCount } from '../table.ts'

const BATCH_OPERATIONS = 1000
const BATCH_BYTES = 256 * 1024
/** Listed in the summary. */
const BAD_SHOWN = 10

export interface BadRecord {
  file: string
  line: number
  /** Set if the record ends in a later line. */
  lastLine?: number
  message: string
}

export class Tally {
  rows = 0
  /** Input bytes read. */
  bytes = 0
  bad = 0
  readonly badRecords: BadRecord[] = []

  addBad(record: BadRecord): void {
    this.bad++
    if (this.badRecords.length < BAD_SHOWN) this.badRecords.push(record)
  }
}

export interface ImportContext {
  store: Store
  /** Undefined: from the file name. */
  format: FormatName | undefined
  options: FormatOptions
  /** Continue after a bad record. */
  skips: boolean
  tally: Tally
  signal: AbortSignal
  update(): void
}

/** Throws errors that end the import. Returns early once the signal is aborted. */
export async function importInput(context: ImportContext, input: Input): Promise<void> {
  const { store, tally, signal } = context
  // Stops a waiting input when the import fails.
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  const records: BatchOperation<Uint8Array, Uint8Array>[] = []
  /** Records share the chunk's memory, so all are written before the next chunk is read. */
  const write = async (): Promise<void> => {
    for (let from = 0; from < records.length && !signal.aborted;) {
      let bytes = 0
      let to = from
      while (to < records.length && to - from < BATCH_OPERATIONS && bytes < BATCH_BYTES) {
        const record = records[to++]!
        bytes += record.key.length + (record.type === 'put' ? record.value.length : 0)
      }
      // The signal ends a batch that waits for memory or disk space.
      await store.batch(records.slice(from, to), { signal })
      tally.rows += to - from
      from = to
      context.update()
    }
    records.length = 0
  }
  try {
    const chunks = decoded(chunksOf(input, stop, bytes => { tally.bytes += bytes }), input.name, stop)
    let reader: RecordReader | undefined
    for await (const chunk of await startOf(context, input, chunks)) {
      reader ??= readerOf(context, input, records)
      reader.push(chunk)
      await write()
      context.update()
      if (signal.aborted) return
    }
    // Drop a record cut off by Ctrl-C.
    if (!signal.aborted) reader?.end()
    await write()
  } catch (error) {
    if (signal.aborted && error instanceof SpillwayError && error.code === 'SPILLWAY_ABORTED') return
    if (error instanceof CommandError) await write()
    if (error instanceof CommandError && error.code === 'BAD_HEADER') {
      throw new CommandError(error.code, `${input.name}: ${error.message}`, { file: input.name })
    }
    throw error
  } finally {
    over.abort()
  }
}

function readerOf(context: ImportContext, input: Input, records: BatchOperation<Uint8Array, Uint8Array>[]): RecordReader {
  const { tally } = context
  const { name: file } = input
  const bad = (line: number, message: string, isLast = false): void => {
    if (!context.skips || isLast) {
      const rest = isLast ? 'The rest cannot be split into records, so the import ends here' : '--on-error skip continues after it'
      throw new CommandError('BAD_RECORD', `${file}, line ${line}: ${message}. ${rest}`, { file, line })
    }
    tally.addBad({ file, line, message })
  }
  return makeReader(context.format ?? formatOfName(file) ?? 'lines', context.options, {
    put(key, value, line) {
      // The store would refuse the whole batch, without the line.
      if (key.length > MAX_KEY_BYTES) bad(line, `the key has ${formatCount(key.length)} bytes; keys have at most ${formatCount(MAX_KEY_BYTES)}`)
      else if (value.length > MAX_VALUE_BYTES) bad(line, `the value has ${formatCount(value.length)} bytes; values have at most ${formatCount(MAX_VALUE_BYTES)}`)
      else records.push({ type: 'put', key, value })
    },
    bad,
    skipped(line, lastLine) {
      const last = tally.badRecords.at(-1)
      if (last?.file === file && last.line === line) last.lastLine = lastLine
    },
  })
}

/** Without an option or a file name that gives the format, the first chunk must not look like another format. */
async function startOf(context: ImportContext, input: Input, chunks: AsyncGenerator<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  if (context.format !== undefined || formatOfName(input.name) !== undefined) return chunks
  const { start, rest } = await formatLookedLike(chunks)
  if (start !== undefined) {
    throw new CommandError('FORMAT_UNKNOWN', `${input.name} looks like ${start}: give --format ${start}, or --format lines if each line is a key`, { file: input.name })
  }
  return rest
}

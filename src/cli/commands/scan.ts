import { RANGE_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { escapeBytes, shorten, textWidth } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { jsonField } from '../formats/jsonl-writer.ts'
import type { Io, Store } from '../io.ts'
import { Output } from '../output.ts'
import { rangeOf } from '../range.ts'
import type { ByteRange } from '../range.ts'
import { walk } from '../walk.ts'
import { readStore } from '../with-store.ts'

const DEFAULT_LIMIT = 50
const MAX_KEY_COLUMNS = 60
/** Bytes of an entry that are escaped: more would not be shown. */
const SHOWN_BYTES = 4096

type ScanRange = ByteRange & { reverse: boolean }

export const scanCommand: Command = {
  name: 'scan',
  summary: 'show entries in readable form',
  usage: '<dir>',
  details: ['Keys and values are escaped like those of get and cut to the width of the terminal. Use export for whole entries.'],
  examples: ['spillway scan ./data --prefix user: --limit 10', 'spillway scan ./data --reverse'],
  options: {
    limit: { type: 'string', value: 'N', help: `at most N entries (default ${DEFAULT_LIMIT}; 0 = all)` },
    reverse: { type: 'boolean', help: 'from the last key to the first' },
    'keys-only': { type: 'boolean', help: 'omit values' },
    ...RANGE_OPTIONS,
  },
  positionals: { min: 1, max: 1 },
  stopsItself: true,

  async run(args, io) {
    const given = args.count('limit') ?? DEFAULT_LIMIT
    const limit = given === 0 ? Infinity : given
    const range = { ...rangeOf(args), reverse: args.flag('reverse') }
    await readStore(args, io, async store => {
      const output = new Output(io.stdout)
      try {
        if (args.flag('json')) await scanJson(store, io, range, limit, output)
        else await scanText(store, io, range, limit, args.flag('keys-only'), output)
      } finally {
        await output.finish()
      }
    })
    return io.signal.aborted ? Number(io.signal.reason) : EXIT.ok
  },
}

/** Reads one entry more, to know whether more follow. */
async function scanText(store: Store, io: Io, range: ScanRange, limit: number, keysOnly: boolean, output: Output): Promise<void> {
  const columns = widthOf(io)
  const cut = (text: string, width: number): string => columns === undefined ? text : shorten(text, width)
  let keyColumns = 0
  let shown = 0
  const complete = await walk(store, { ...range, limit: limit + 1 }, (key, value) => {
    if (shown >= limit) return false
    shown++
    const keyText = cut(escapeShown(key, columns), Math.min(MAX_KEY_COLUMNS, keysOnly ? Infinity : Math.floor((columns ?? 0) / 2)))
    if (keysOnly) {
      output.add(`${keyText}\n`)
      return true
    }
    const width = textWidth(keyText)
    keyColumns = Math.max(keyColumns, width)
    const gap = ' '.repeat(keyColumns - width + 2)
    output.add(`${keyText}${gap}${cut(escapeShown(value, columns), (columns ?? 0) - keyColumns - 2)}\n`)
    return true
  }, pauseOf(io, output))
  if (shown === 0) output.add('(no entries)\n')
  else if (!complete && !output.closed && !io.signal.aborted) output.add(`(more entries follow; --limit 0 shows all)\n`)
}

async function scanJson(store: Store, io: Io, range: ScanRange, limit: number, output: Output): Promise<void> {
  let shown = 0
  output.add('{"entries":[')
  const complete = await walk(store, { ...range, limit: limit + 1 }, (key, value) => {
    if (shown >= limit) return false
    output.add(`${shown++ === 0 ? '' : ','}\n{${jsonField('key', key)},${jsonField('value', value)}}`)
    return true
  }, pauseOf(io, output))
  output.add(`],\n"more":${!complete}}\n`)
}

function pauseOf(io: Io, output: Output): () => Promise<boolean> {
  return async () => {
    if (output.full) await output.drain()
    return !output.closed && !io.signal.aborted
  }
}

/** Columns of the terminal; undefined = do not cut. */
function widthOf(io: Io): number | undefined {
  if (io.stdout.isTTY !== true) return undefined
  return Math.max(20, io.stdout.columns ?? 80)
}

function escapeShown(bytes: Uint8Array, columns: number | undefined): string {
  if (columns === undefined || bytes.length <= SHOWN_BYTES) return escapeBytes(bytes)
  return `${escapeBytes(bytes.subarray(0, SHOWN_BYTES))}...`
}

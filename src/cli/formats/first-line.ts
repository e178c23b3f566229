/** Guesses a format from the first line. */
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../escape.ts'
import type { FormatName } from '../names.ts'
import { endOfValue, isContainer, skipBlanks } from './json-scan.ts'
import { CR, hasByteOrderMark, LF } from './record.ts'

const MAX_BYTES = 64 * 1024
const HEADERS: readonly (readonly [string, FormatName])[] = [
  ['key,value', 'csv'], ['"key","value"', 'csv'], ['key\tvalue', 'tsv'],
]

/** JSON, or the header of an exported table: unlikely in a list of keys. */
export function formatOfLine(line: Uint8Array): FormatName | undefined {
  const from = skipBlanks(line, hasByteOrderMark(line) ? 3 : 0, line.length)
  const text = asBuffer(line)
  if (isContainer(line[from]) && isUtf8(line)) {
    const to = endOfValue(line, from, line.length)
    if (to > 0 && skipBlanks(line, to, line.length) === line.length) return 'jsonl'
  }
  return HEADERS.find(([header]) => text.subarray(from).equals(Buffer.from(header)))?.[1]
}

/** `start`: the format, if recognized; `rest`: all chunks. */
export async function formatLookedLike(chunks: AsyncGenerator<Uint8Array>): Promise<{ start: FormatName | undefined, rest: AsyncGenerator<Uint8Array> }> {
  let first: Uint8Array = new Uint8Array(0)
  let end = -1
  while (end < 0 && first.length < MAX_BYTES) {
    const next = await chunks.next()
    if (next.done === true) break
    const from = first.length
    first = from === 0 ? next.value : Buffer.concat([first, next.value])
    end = newlineFrom(first, from)
  }
  const start = formatOfLine(first.subarray(0, end < 0 ? first.length : end))
  return { start, rest: following(first, chunks) }
}

async function *following(first: Uint8Array, chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  yield* chunks
}

function newlineFrom(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && bytes[at] !== LF && bytes[at] !== CR) at++
  return at < bytes.length ? at : -1
}

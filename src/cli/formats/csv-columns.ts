/** Chooses the key and value columns of a CSV file. */
import { isUtf8 } from 'node:buffer'
import { CommandError, UsageError } from '../errors.ts'
import { asBuffer } from '../escape.ts'
import { MAX_COLUMNS } from './csv-parser.ts'
import type { CsvRow } from './csv-parser.ts'

export interface ColumnsWanted {
  key?: string
  value?: string
  keysOnly?: boolean
}

export interface Columns {
  count: number
  key: number
  value: number | 'row' | 'none'
  /** For rows: `"name":` of each column; empty without a header. */
  names: string[]
}

const NUMBER = /^\d{1,7}$/
const SHOWN_NAMES = 20
const SHOWN_CHARACTERS = 60

/** Throws CommandError BAD_HEADER, and UsageError for a missing column. */
export function chooseColumns(row: CsvRow, hasHeader: boolean, wanted: ColumnsWanted): Columns {
  const { key, value, keysOnly = false } = wanted
  const { count } = row
  if (count > MAX_COLUMNS) throw badHeader(`the first row has ${count} columns; the maximum is ${MAX_COLUMNS}. Is the separator right?`)
  const names = hasHeader ? namesOf(row, wanted) : undefined
  const column = (of: string, option: string): number => columnOf(of, names, count, option)
  if (key === undefined && value === undefined && names !== undefined) {
    // The header of an export, --keys-only included.
    if (count === 1 && names[0] === 'key') return { count, key: 0, value: 'none', names: [] }
    if (count === 2 && names.includes('key') && names.includes('value')) {
      return { count, key: names.indexOf('key'), value: keysOnly ? 'none' : names.indexOf('value'), names: [] }
    }
  }
  const keyAt = key !== undefined ? column(key, '--key') : names?.includes('key') === true ? column('key', '--key') : 0
  if (keysOnly) return { count, key: keyAt, value: 'none', names: [] }
  if (value !== undefined) return { count, key: keyAt, value: column(value, '--value'), names: [] }
  return { count, key: keyAt, value: 'row', names: names === undefined ? [] : fieldNames(names) }
}

/** Undefined: not UTF-8, and names are not needed. */
function namesOf(row: CsvRow, { key, value, keysOnly }: ColumnsWanted): string[] | undefined {
  const names: string[] = []
  for (let i = 0; i < row.count; i++) {
    const field = row.field(i)
    if (!isUtf8(field)) {
      const byNumber = key !== undefined && NUMBER.test(key) && (keysOnly === true || (value !== undefined && NUMBER.test(value)))
      if (byNumber) return undefined
      throw badHeader(`name ${i + 1} of the header is not valid UTF-8. Convert the file, or choose columns by number: --key 1 --value 2`)
    }
    names.push(asBuffer(field).toString('utf8'))
  }
  return names
}

function columnOf(wanted: string, names: string[] | undefined, count: number, option: string): number {
  const named = names?.indexOf(wanted) ?? -1
  if (named >= 0) {
    const second = names!.indexOf(wanted, named + 1)
    if (second >= 0) {
      throw badHeader(`columns ${named + 1} and ${second + 1} of the header are both named ${shown(wanted)}. Choose one by number: ${option} ${named + 1}`)
    }
    return named
  }
  const number = NUMBER.test(wanted) ? Number(wanted) : 0
  if (number >= 1 && number <= count) return number - 1
  const known = names === undefined ? `numbers 1 to ${count}` : names.slice(0, SHOWN_NAMES).map(shown).join(', ') + (count > SHOWN_NAMES ? ', ...' : '')
  throw new UsageError(`${option} ${JSON.stringify(wanted)}: no such column. Known: ${known}`)
}

function fieldNames(names: readonly string[]): string[] {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) {
      throw badHeader(`the header has two columns ${shown(name)}, so a row cannot be stored as a JSON object. Choose one column with --value`)
    }
    seen.add(name)
  }
  return names.map(name => `${JSON.stringify(name)}:`)
}

function shown(name: string): string {
  return JSON.stringify(name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}...` : name)
}

function badHeader(message: string): CommandError {
  return new CommandError('BAD_HEADER', message)
}

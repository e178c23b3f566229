/**
 * A version as bytes and back: three lines of readable text.
 *
 *   SPILLWAY MANIFEST 3          also read: 1 (no `ahead`, no sequence offsets) and 2 (no `earlier`)
 *   {"number":12,...}            the whole version, tables as [file, bytes, entries, deletes] and an optional offset
 *   0123456789abcdef             checksum of the lines above: XXH64 of each 64 KiB of them, the first seeded with the
 *                                manifest's number, every other with the hash before it; the last one counts
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { ClosedRecord, EarlierLogs, RunRecord, SeqRange, TableRecord, Version } from './version.ts'

/** Always written: a program that knows only earlier formats would read a fenced owner's log, and must be refused. */
export const MANIFEST_FORMAT = 3
const PLAIN_FORMAT = 1
/** Part of the format. Kernel regions must be at least this large. */
export const CHECKSUM_PIECE_BYTES: number = 64 * 1024
const TITLE = 'SPILLWAY MANIFEST'

export function encodeVersion(version: Version, kernels: Kernels): Uint8Array {
  const body = JSON.stringify({
    ...version,
    runs: version.runs.map(run => ({
      id: run.id, level: run.level,
      tables: run.tables.map(tableRow),
    })),
  })
  const text = new TextEncoder().encode(`${TITLE} ${MANIFEST_FORMAT}\n${body}\n`)
  const end = new TextEncoder().encode(`${digest(text, version.number, kernels)}\n`)
  const bytes = new Uint8Array(text.length + end.length)
  bytes.set(text)
  bytes.set(end, text.length)
  return bytes
}

function tableRow({ fileNumber, fileBytes, entries, deletes, seqOffset = 0 }: TableRecord): number[] {
  return seqOffset === 0 ? [fileNumber, fileBytes, entries, deletes] : [fileNumber, fileBytes, entries, deletes, seqOffset]
}

/** Throws CorruptionError, or UNAVAILABLE for a newer format. */
export function decodeVersion(bytes: Uint8Array, number: number, path: string, kernels: Kernels): Version {
  const text = new TextDecoder().decode(bytes)
  const title = /^SPILLWAY MANIFEST (\d+)\n/.exec(text)
  if (title === null || Number(title[1]) < 1) throw new CorruptionError(path, 0, 'this is not a manifest')
  if (Number(title[1]) > MANIFEST_FORMAT) {
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE',
      `${path} has format ${title[1]}, this version reads up to ${MANIFEST_FORMAT}. Open the store with a newer Spillway`,
      { details: { path, format: Number(title[1]), supported: MANIFEST_FORMAT } },
    )
  }
  const end = bytes.length - 17
  const stored = text.slice(-17)
  if (end < 0 || stored !== `${digest(bytes.subarray(0, end), number, kernels)}\n`) {
    throw new CorruptionError(path, Math.max(0, end), 'the checksum of the manifest does not match its content')
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(text.slice(title[0].length, -17))
  } catch (cause) {
    throw new CorruptionError(path, title[0].length, 'the manifest is not readable', { cause })
  }
  return checkedVersion(parsed, number, path, Number(title[1]) > PLAIN_FORMAT)
}

/** Seed and hashes are unsigned halves: the number is the high half of the first seed. */
function digest(bytes: Uint8Array, number: number, kernels: Kernels): string {
  let high = number >>> 0
  let low = 0
  for (let at = 0; at < bytes.length || at === 0; at += CHECKSUM_PIECE_BYTES) {
    const piece = bytes.subarray(at, at + CHECKSUM_PIECE_BYTES)
    kernels.memory.set(piece, kernels.a)
    kernels.hash(kernels.a, piece.length, high, low)
    high = kernels.hashHigh
    low = kernels.hashLow
  }
  return hex(high) + hex(low)
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0')
}

function checkedVersion(parsed: unknown, number: number, path: string, knowsOffsets: boolean): Version {
  const bad = (what: string): never => { throw new CorruptionError(path, 0, `the manifest's ${what} is not valid`) }
  const count = (value: unknown, what: string): number => {
    if (!Number.isSafeInteger(value) || (value as number) < 0) bad(what)
    return value as number
  }
  if (typeof parsed !== 'object' || parsed === null) bad('content')
  const object = parsed as Record<string, unknown>
  if (object['number'] !== number) bad('number')
  const strategy = object['strategy'] as { name?: unknown, parameters?: unknown } | null | undefined
  if (typeof strategy?.name !== 'string' || typeof strategy.parameters !== 'object' || strategy.parameters === null) bad('strategy')
  if (Object.values(strategy!.parameters as object).some(value => typeof value !== 'number')) bad('strategy')
  if (!Array.isArray(object['runs'])) bad('list of runs')
  const nextFile = count(object['nextFile'], 'nextFile')
  const nextRun = count(object['nextRun'], 'nextRun')
  const seen = new Set<number>()
  const runs = (object['runs'] as (Record<string, unknown> | null)[]).map((run): RunRecord => {
    const rows = run?.['tables']
    if (!Array.isArray(rows) || rows.length === 0) bad('run')
    const tables = (rows as unknown[][]).map((row): TableRecord => {
      if (!Array.isArray(row) || row.length < 4) bad('table')
      const [fileNumber, fileBytes, entries, deletes, offset] = row.map(value => count(value, 'table')) as [number, number, number, number, number?]
      const seqOffset = knowsOffsets ? offset ?? 0 : 0
      if (seen.has(fileNumber)) bad('list of tables (one stands in it twice)')
      seen.add(fileNumber)
      if (fileNumber >= nextFile || deletes > entries) bad('table')
      return { fileNumber, fileBytes, entries, deletes, ...(seqOffset === 0 ? {} : { seqOffset }) }
    })
    const id = count(run!['id'], 'run id')
    if (id >= nextRun) bad('run id')
    return { id, level: count(run!['level'], 'level'), tables }
  })
  const lastSeq = count(object['lastSeq'], 'lastSeq')
  const logFloor = count(object['logFloor'], 'logFloor')
  const aheadRanges = (rows: unknown): SeqRange[] => {
    if (!Array.isArray(rows) || rows.length === 0) bad('list of ranges ahead')
    let end = lastSeq + 1
    return (rows as unknown[]).map((row): SeqRange => {
      if (!Array.isArray(row) || row.length !== 2) bad('list of ranges ahead')
      const [first, last] = (row as unknown[]).map(value => count(value, 'list of ranges ahead')) as [number, number]
      if (first <= end || last < first) bad('list of ranges ahead')
      end = last + 1
      return [first, last]
    })
  }
  const logRows = (rows: unknown, what: string): [number, number][] => {
    if (!Array.isArray(rows)) bad(what)
    let last = logFloor - 1
    return (rows as unknown[][]).map((row): [number, number] => {
      if (!Array.isArray(row) || row.length !== 2) bad(what)
      const [log, bytes] = row.map(value => count(value, what)) as [number, number]
      if (log <= last || log >= nextFile || bytes === 0) bad(what)
      last = log
      return [log, bytes]
    })
  }
  const earlierLogs = (earlier: Record<string, unknown> | null): EarlierLogs => {
    const before = count(earlier?.['before'], 'list of earlier logs')
    const logs = logRows(earlier!['logs'], 'list of earlier logs')
    if (before > nextFile || before <= logFloor || (logs.at(-1)?.[0] ?? 0) >= before) bad('list of earlier logs')
    const durable = earlier!['durable']
    if (durable !== undefined && durable !== true) bad('list of earlier logs')
    return { before, logs, ...(durable === true ? { durable } : {}) }
  }
  const closedRecord = (closed: Record<string, unknown> | null): ClosedRecord => {
    const logs = logRows(closed?.['logs'], 'record of the close')
    if (logs.length === 0) bad('record of the close')
    const closedSeq = count(closed!['lastSeq'], 'record of the close')
    if (closedSeq <= lastSeq) bad('record of the close')
    return { lastSeq: closedSeq, logs }
  }
  const earlier = object['earlier'] as Record<string, unknown> | null | undefined
  const closed = object['closed'] as Record<string, unknown> | null | undefined
  return {
    number,
    epoch: count(object['epoch'], 'epoch'),
    lastSeq,
    logFloor,
    nextFile,
    nextRun,
    strategy: strategy as Version['strategy'],
    ...(object['ahead'] === undefined || !knowsOffsets ? {} : { ahead: aheadRanges(object['ahead']) }),
    ...(earlier === undefined ? {} : { earlier: earlierLogs(earlier) }),
    runs,
    ...(closed === undefined ? {} : { closed: closedRecord(closed) }),
  }
}

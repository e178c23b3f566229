/**
 * Opening a directory: lock, newest manifest, tables, log replay, cleaning up.
 *
 * Invariants
 * 1. Nothing is removed before the manifest that does without it is durable, and no manifest is written
 *    before everything the old one names was found whole.
 * 2. What is recovered is a prefix of the history: log segments are replayed in order, and reading ends for good at the
 *    first operation that the machine lost.
 * 3. Nothing of the log is cut or removed before all of it has proved consistent; a store that was closed must have all
 *    of it, and that is checked before anything is changed.
 * 4. What was recovered is at least as durable as what is written from then on.
 * 5. Foreign files are never touched.
 */
import { CorruptionError, invalidArgument } from '../base/errors.ts'
import type { SpillwayError } from '../base/errors.ts'
import { KIND_VALUE_FILE } from '../base/cursor.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import { LOG_READ_BUFFER_BYTES, readLog } from '../wal/log-reader.ts'
import { parseName } from '../base/file-names.ts'
import { nextLogged } from '../manifest/version.ts'
import type { ClosedRecord, Version } from '../manifest/version.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference, verifyValueFile } from '../table/value-file.ts'
import type { Background } from './background.ts'
import { applyOperation, recordBytesOf } from './apply.ts'
import { SMALLEST_ARENA_BYTES } from './arenas.ts'
import type { Core } from './core.ts'
import { MAX_RANGES } from './memtable-ranges.ts'
import { MemtableSlot } from './memtables.ts'
import { chooseStrategy } from './options.ts'
import { Patience } from './patience.ts'
import { checkFloor } from './plan.ts'
import { Tree } from './tree.ts'

export interface RecoveryReport {
  logSegments: number
  operations: number
  /** Bytes at the end of the log that were given up as never finished. */
  droppedBytes: number
  orphansRemoved: number
  elapsedMs: number
}

/**
 * The names in a directory, which must hold a store or be fit for a new one. Before the lock is held another process may be
 * exchanging files, so that a listing may miss one: then only what has none of a store's files is judged.
 */
export function inspect(core: Core, isLocked: boolean): string[] {
  const { host, directory, settings } = core
  const names = host.files.exists(directory) ? host.files.list(directory) : []
  const kinds = names.map(name => parseName(name).kind)
  if (kinds.includes('manifest')) {
    if (settings.errorIfExists) throw invalidArgument(`${directory} already has a store, and errorIfExists is true`, { directory })
    return names
  }
  if (!isLocked && kinds.some(kind => kind === 'table' || kind === 'log' || kind === 'value')) return names
  const foreign = names.filter((_, i) => kinds[i] === 'foreign')
  if (foreign.length > 0) {
    throw invalidArgument(
      `${directory} is no store: it holds ${foreign.length} other file${foreign.length === 1 ? '' : 's'} (${foreign.slice(0, 3).join(', ')}) and no manifest. Give an empty or new directory`,
      { directory, foreign: foreign.slice(0, 10) },
    )
  }
  if (kinds.includes('table')) {
    throw new CorruptionError(directory, 0, `the store has ${kinds.filter(kind => kind === 'table').length} tables but its manifest is missing`)
  }
  if (!settings.createIfMissing) throw invalidArgument(`${directory} has no store, and createIfMissing is false`, { directory })
  return names
}

interface StoredFile { name: string, kind: string, number: number }

/** Bring the store to the state of its files. The lock is held. */
export function recover(core: Core, makeBackground: () => Background): { background: Background, report: RecoveryReport } {
  const startedMs = core.host.clock.nowMs()
  const names = inspect(core, true)
  const found = core.manifests.load(names)
  const files: StoredFile[] = names.map(name => ({ name, ...parseName(name) }))
  const largest = files.reduce((most, { number }) => Math.max(most, number), 0)
  core.strategy = chooseStrategy(core.settings.compaction, found?.strategy, core.plan.maxRuns)
  const strategy = { name: core.strategy.name, parameters: core.strategy.parameters }
  const base: Version = { ...(found ?? { number: 0, epoch: 0, lastSeq: 0, logFloor: 1, nextFile: 1, nextRun: 1, runs: [] }), strategy }
  Atomics.store(core.nextFile, 0, Math.max(base.nextFile, largest + 1))
  core.lastSeq = base.lastSeq

  for (const run of base.runs) {
    for (const record of run.tables) {
      const reader = core.tables.open(record)
      core.valueFiles.retain(reader.properties.valueFiles)
    }
  }
  core.tables.holdRuns(base.runs.length)
  checkFloor(core.plan, core.engine.metadataBytes)
  const release = core.engine.leaseLogReading(LOG_READ_BUFFER_BYTES)
  try {
    const { background, report } = recoverLog(core, base, files, makeBackground)
    report.elapsedMs = core.host.clock.nowMs() - startedMs
    return { background, report }
  } finally {
    release()
  }
}

/** The tables are open; the epoch begins, what nobody needs is removed, and the log is brought back to memory. */
function recoverLog(
  core: Core, base: Version, files: readonly StoredFile[], makeBackground: () => Background,
): { background: Background, report: RecoveryReport } {
  const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)
  const { closed, ...rest } = base
  if (closed !== undefined) checkClosed(core, base, closed, segmentsFrom(base.logFloor, files), buffer)

  core.version = { ...rest, number: base.number + 1, epoch: base.epoch + 1, nextFile: Atomics.load(core.nextFile, 0) }
  core.tree = new Tree(core.version, core.tables.readers, core.strategy)
  core.manifests.commit(core.version)

  const named = new Set(base.runs.flatMap(run => run.tables.map(table => table.fileNumber)))
  let orphansRemoved = 0
  for (const { name, kind, number } of files) {
    const orphan = kind === 'temporary' || (kind === 'manifest' && number < base.number)
      || (kind === 'table' && !named.has(number)) || (kind === 'log' && number < base.logFloor)
    if (!orphan) continue
    core.discard(core.host.join(core.directory, name))
    orphansRemoved++
  }

  const background = makeBackground()
  const report = { ...replay(core, background, files, buffer), orphansRemoved, elapsedMs: 0 }
  const referenced = new Set(core.valueFiles.numbers())
  for (const { kind, number } of files) {
    if (kind !== 'value' || referenced.has(number)) continue
    core.discard(core.valuePath(number))
    report.orphansRemoved++
  }
  return { background, report }
}

function segmentsFrom(floor: number, files: readonly { kind: string, number: number }[]): number[] {
  return files.filter(({ kind, number }) => kind === 'log' && number >= floor).map(({ number }) => number).sort((a, b) => a - b)
}

/** All that was in the log when the store was closed is there still: what is missing of it is no unfinished write. */
function checkClosed(core: Core, base: Version, closed: ClosedRecord, numbers: readonly number[], buffer: Uint8Array): void {
  const closedBytes = new Map(closed.logs)
  for (const number of closedBytes.keys()) {
    if (!numbers.includes(number)) throw new CorruptionError(core.logPath(number), 0, 'the log segment is missing, though the store was closed with it')
  }
  let expected: number | undefined
  for (const number of numbers) {
    const path = core.logPath(number)
    const file = core.host.files.openRead(path)
    try {
      const { endOffset, nextSeq } = readLog(
        file, number, buffer, core.kernels, core.host.bootId(), expected, () => {}, base.lastSeq + 1,
        (seq, kind, bytes, valueStart, valueEnd) => {
          if (seq > base.lastSeq && kind === KIND_VALUE_FILE) checkValue(core, bytes, valueStart, valueEnd)
          return true
        },
      )
      expected = nextSeq === undefined ? expected : nextLogged(base, nextSeq - 1)
      const bytes = closedBytes.get(number) ?? 0
      if (endOffset < bytes) throw new CorruptionError(path, endOffset, `the store was closed with ${bytes} bytes in this log segment, of which ${endOffset} are left`)
    } finally {
      file.close()
    }
  }
  const last = (expected ?? 1) - 1
  if (last !== closed.lastSeq) {
    throw new CorruptionError(core.logPath(numbers.at(-1)!), 0, `the log ends at sequence number ${last}, the store was closed at ${closed.lastSeq}`)
  }
}

/** Replay the log segments at or above the floor, flushing when the memtable is full. */
function replay(core: Core, background: Background, files: readonly StoredFile[], buffer: Uint8Array):
{ logSegments: number, operations: number, droppedBytes: number } {
  const numbers = segmentsFrom(core.version.logFloor, files)
  core.logs = [...numbers]
  core.active = new MemtableSlot(undefined, numbers[0] ?? Atomics.load(core.nextFile, 0), core.engine.metadata)
  const recoveredSeq = core.version.lastSeq
  const patience = new Patience(
    core, 'opening waits for memory that nobody is about to give back. Close iterators or transactions of stores that share the budget, or raise it')
  let operations = 0
  let droppedBytes = 0
  let expected: number | undefined
  const unneeded: number[] = []
  const cuts: { number: number, endOffset: number }[] = []
  for (const number of numbers) {
    const path = core.logPath(number)
    const file = core.host.files.openWrite(path)
    try {
      // The process that wrote it may have died before it was synced. From here on tables and later segments rely on it.
      file.syncSync()
      const contents = readLog(file, number, buffer, core.kernels, core.host.bootId(), expected, (seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        if (seq <= recoveredSeq) return
        if (seq !== nextLogged(core.version, core.lastSeq)) throw missing(path, seq, core.lastSeq)
        if (kind === KIND_VALUE_FILE && valueEnd - valueStart !== VALUE_REFERENCE_BYTES) {
          throw new CorruptionError(path, 0, `the reference to a large value has ${valueEnd - valueStart} bytes, expected ${VALUE_REFERENCE_BYTES}`)
        }
        makeRoom(core, background, patience, number, kind, keyEnd - keyStart, valueEnd - valueStart)
        if (kind === KIND_VALUE_FILE) core.unsyncedValues.add(decodeValueReference(bytes, valueStart, valueEnd).fileNumber)
        applyOperation(core, seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
        operations++
      }, recoveredSeq + 1, (seq, kind, bytes, valueStart, valueEnd) =>
        seq <= recoveredSeq || kind !== KIND_VALUE_FILE || isValueWhole(core, bytes, valueStart, valueEnd))
      // A large transaction ends the segment before it: its sequence numbers are in no segment.
      expected = contents.nextSeq === undefined ? expected : nextLogged(core.version, contents.nextSeq - 1)
      droppedBytes += contents.droppedBytes
      if (contents.operations === 0) unneeded.push(number)
      else if (contents.tailBytes > 0) cuts.push({ number, endOffset: contents.endOffset })
    } finally {
      file.close()
    }
  }
  core.lastSeq = nextLogged(core.version, core.lastSeq) - 1
  const lost = core.version.ahead?.find(([first]) => first > core.lastSeq)
  if (lost !== undefined) {
    throw new CorruptionError(
      core.manifests.newestPath, 0,
      `the log ends at sequence number ${core.lastSeq}, but tables hold a transaction that began at ${lost[0]}, and what was written before it was durable then`,
    )
  }
  // Only now that all of the log proved to be consistent is anything of it given up: from its end, so that whenever this is
  // cut short the rest is a beginning of the history still.
  for (const number of unneeded.reverse()) core.host.files.remove(core.logPath(number))
  for (const { number, endOffset } of cuts.reverse()) {
    const file = core.host.files.openWrite(core.logPath(number))
    try {
      file.truncate(endOffset)
      file.syncSync()
    } finally {
      file.close()
    }
  }
  core.logs = core.logs.filter(log => !unneeded.includes(log))
  return { logSegments: numbers.length, operations, droppedBytes }
}

function missing(path: string, found: number, last: number): SpillwayError {
  return new CorruptionError(path, 0, `the log goes on at sequence number ${found}, but what comes before it ends at ${last}: a log segment is missing`)
}

/** Whether a large value survived the machine: its file is not durable before the log is. */
function isValueWhole(core: Core, bytes: Uint8Array, start: number, end: number): boolean {
  try {
    checkValue(core, bytes, start, end)
    return true
  } catch (error) {
    if (error instanceof CorruptionError) return false
    throw error
  }
}

/** What is no reference is found out when it is replayed. */
function checkValue(core: Core, bytes: Uint8Array, start: number, end: number): void {
  if (end - start !== VALUE_REFERENCE_BYTES) return
  const { fileNumber, lengthBytes } = decodeValueReference(bytes, start, end)
  verifyValueFile(core.host.files, core.valuePath(fileNumber), fileNumber, lengthBytes, core.kernels)
}

/** Flush what was replayed so far when the next operation does not fit; take an arena for it. */
function makeRoom(
  core: Core, background: Background, patience: Patience, logNumber: number, kind: number, keyBytes: number, valueBytes: number,
): void {
  const { active, engine } = core
  const hasPlace = kind !== KIND_DELETE_RANGE || active.memtable.rangeCount < MAX_RANGES
  if (!active.isPlaceholder && hasPlace && active.memtable.fitsBatch(1, recordBytesOf(kind, keyBytes, valueBytes))) return
  if (!active.isPlaceholder) {
    core.sealed.push(active)
    core.active = new MemtableSlot(undefined, logNumber, core.engine.metadata)
    background.flush(active)
    while (core.sealed.length > 0) waitForJob(background)
  }
  let buffer = engine.takeArena(core, SMALLEST_ARENA_BYTES)
  for (; buffer === undefined; buffer = engine.takeArena(core, SMALLEST_ARENA_BYTES)) {
    // Stores that share the budget hold the arenas. Their timers do not run while this call waits.
    if (!waitForJob(background)) patience.check()
  }
  patience.renew()
  core.active = new MemtableSlot(buffer, core.active.logNumber, core.engine.metadata)
}

/** False: no job runs. */
function waitForJob(background: Background): boolean {
  background.retryNow()
  const waited = background.waitInside()
  if (background.flushError !== undefined) throw background.flushError
  return waited
}

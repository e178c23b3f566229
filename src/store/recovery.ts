/**
 * Opening a directory: lock, newest manifest, tables, log replay, cleaning up.
 *
 * Invariants
 * 1. Nothing is removed before the manifest that does without it is durable, and no manifest is written
 *    before everything the old one names was found whole.
 * 2. What is recovered is a prefix of the history: log segments are replayed in order, and reading ends for good at the
 *    first operation that the machine lost.
 * 3. Foreign files are never touched.
 */
import { CorruptionError, invalidArgument } from '../base/errors.ts'
import type { SpillwayError } from '../base/errors.ts'
import { KIND_VALUE_FILE } from '../base/cursor.ts'
import { LOG_READ_BUFFER_BYTES, readLog } from '../wal/log-reader.ts'
import { parseName } from '../manifest/names.ts'
import type { Version } from '../manifest/version.ts'
import { VALUE_REFERENCE_BYTES } from '../table/value-file.ts'
import type { Background } from './background.ts'
import { applyOperation, recordBytesOf } from './apply.ts'
import type { Core } from './core.ts'
import { MemtableSlot } from './memtables.ts'
import { chooseStrategy } from './options.ts'
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

/** What a directory holds before anything is changed. Throws for one that is no store. */
export function inspect(core: Core): { names: string[], version: Version | undefined } {
  const { host, directory, settings } = core
  const names = host.files.exists(directory) ? host.files.list(directory) : []
  const kinds = names.map(name => parseName(name).kind)
  const hasStore = kinds.includes('manifest')
  if (!hasStore) {
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
    if (!settings.createIfMissing) {
      throw invalidArgument(`${directory} has no store, and createIfMissing is false`, { directory })
    }
  } else if (settings.errorIfExists) {
    throw invalidArgument(`${directory} already has a store, and errorIfExists is true`, { directory })
  }
  return { names, version: hasStore ? core.manifests.load(names) : undefined }
}

/** Bring the store to the state of its files. The lock is held. */
export function recover(core: Core, makeBackground: () => Background): { background: Background, report: RecoveryReport } {
  const startedMs = core.host.clock.nowMs()
  const { names, version: found } = inspect(core)
  const files = names.map(name => ({ name, ...parseName(name) }))
  const largest = files.reduce((most, { number }) => Math.max(most, number), 0)
  core.strategy = chooseStrategy(core.settings.compaction, found?.strategy, core.plan.maxRuns)
  const strategy = { name: core.strategy.name, parameters: core.strategy.parameters }
  const base: Version = found ?? { number: 0, epoch: 0, lastSeq: 0, logFloor: 1, nextFile: 1, nextRun: 1, strategy, runs: [] }
  Atomics.store(core.nextFile, 0, Math.max(base.nextFile, largest + 1))
  core.lastSeq = base.lastSeq

  for (const run of base.runs) {
    for (const record of run.tables) {
      const reader = core.tables.open(record)
      core.valueFiles.retain(reader.properties.valueFiles)
    }
  }
  checkFloor(core.plan, core.engine.metadata.bytes)

  core.version = { ...base, number: base.number + 1, epoch: base.epoch + 1, nextFile: Atomics.load(core.nextFile, 0), strategy }
  core.tree = new Tree(core.version, core.tables.readers, core.strategy)
  core.manifests.commit(core.version)

  const named = new Set(base.runs.flatMap(run => run.tables.map(table => table.fileNumber)))
  let orphansRemoved = 0
  for (const { name, kind, number } of files) {
    const orphan = kind === 'temporary' || (kind === 'manifest' && number < base.number)
      || (kind === 'table' && !named.has(number)) || (kind === 'log' && number < base.logFloor)
    if (!orphan) continue
    core.host.files.remove(core.host.join(core.directory, name))
    orphansRemoved++
  }

  const background = makeBackground()
  const report = { ...replay(core, background, files), orphansRemoved, elapsedMs: 0 }
  const referenced = new Set(core.valueFiles.numbers())
  for (const { kind, number } of files) {
    if (kind !== 'value' || referenced.has(number)) continue
    core.host.files.remove(core.valuePath(number))
    report.orphansRemoved++
  }
  report.elapsedMs = core.host.clock.nowMs() - startedMs
  return { background, report }
}

/** Replay the log segments at or above the floor, flushing when the memtable is full. */
function replay(core: Core, background: Background, files: { kind: string, number: number }[]):
{ logSegments: number, operations: number, droppedBytes: number } {
  const numbers = files.filter(({ kind, number }) => kind === 'log' && number >= core.version.logFloor).map(({ number }) => number)
    .sort((a, b) => a - b)
  core.logs = [...numbers]
  core.active = new MemtableSlot(undefined, numbers[0] ?? Atomics.load(core.nextFile, 0))
  const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)
  let operations = 0
  let droppedBytes = 0
  let expected: number | undefined
  let lost = false
  const empty: number[] = []
  for (const number of numbers) {
    const path = core.logPath(number)
    if (lost) {
      // The machine lost something before this segment: what follows a hole is not part of the history.
      core.host.files.remove(path)
      core.logs = core.logs.filter(log => log !== number)
      continue
    }
    const file = core.host.files.openWrite(path)
    try {
      const contents = readLog(file, number, buffer, core.kernels, core.host.bootId(), expected, (seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        if (seq <= core.version.lastSeq) return
        if (seq !== core.lastSeq + 1) throw missing(path, seq, core.lastSeq)
        if (kind === KIND_VALUE_FILE && valueEnd - valueStart !== VALUE_REFERENCE_BYTES) {
          throw new CorruptionError(path, 0, `the reference to a large value has ${valueEnd - valueStart} bytes, expected ${VALUE_REFERENCE_BYTES}`)
        }
        makeRoom(core, background, number, kind, keyEnd - keyStart, valueEnd - valueStart)
        applyOperation(core, seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
        operations++
      })
      if (contents.firstSeq !== undefined && contents.firstSeq > core.lastSeq + 1 && contents.operations > 0) throw missing(path, contents.firstSeq, core.lastSeq)
      expected = contents.nextSeq ?? expected
      if (contents.operations === 0) empty.push(number)
      if (contents.droppedBytes > 0) {
        droppedBytes += contents.droppedBytes
        file.truncate(contents.endOffset)
        file.syncSync()
      }
      lost = contents.gap || contents.droppedBytes > 0 && contents.endOffset > 0
    } finally {
      file.close()
    }
  }
  for (const number of empty) core.host.files.remove(core.logPath(number))
  core.logs = core.logs.filter(log => !empty.includes(log))
  return { logSegments: numbers.length, operations, droppedBytes }
}

function missing(path: string, found: number, last: number): SpillwayError {
  return new CorruptionError(path, 0, `the log goes on at sequence number ${found}, but what comes before it ends at ${last}: a log segment is missing`)
}

/** Flush what was replayed so far when the next operation does not fit; take an arena for it. */
function makeRoom(core: Core, background: Background, logNumber: number, kind: number, keyBytes: number, valueBytes: number): void {
  const { active, engine } = core
  if (!active.isPlaceholder && active.memtable.fitsBatch(1, recordBytesOf(kind, keyBytes, valueBytes))) return
  if (!active.isPlaceholder) {
    core.sealed.push(active)
    core.active = new MemtableSlot(undefined, logNumber)
    background.flush(active)
    while (core.sealed.length > 0) waitForJob(background)
  }
  let buffer = engine.takeArena(engine.plan.smallestArenaBytes)
  for (; buffer === undefined; buffer = engine.takeArena(engine.plan.smallestArenaBytes)) waitForJob(background)
  core.active = new MemtableSlot(buffer, core.active.logNumber)
}

function waitForJob(background: Background): void {
  background.retryNow()
  background.waitInside()
  if (background.flushError !== undefined) throw background.flushError
}

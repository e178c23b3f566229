/**
 * Opens a locked directory: newest manifest, tables, the log, leftovers.
 *
 * Invariants
 * 1. A file is removed only after a manifest without it is durable, and a manifest is written only after all files of the old one,
 *    and the log, were found whole.
 * 2. The recovered state is a prefix of the history (`log-history.ts`), at least as durable as later writes.
 * 3. The first manifest of an epoch ends all earlier ones: former owners find their manifest numbers taken, and their later log
 *    writes do not count.
 * 4. Foreign files are not touched.
 */
import { CorruptionError, invalidArgument } from '../../base/errors.ts'
import { parseName } from '../../base/file-names.ts'
import type { HostFiles } from '../../host/host.ts'
import type { Version } from '../../manifest/version.ts'
import { LOG_READ_BUFFER_BYTES } from '../../wal/log-reader.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import type { LogPart } from './log-history.ts'
import { durableHistory } from './log-renewal.ts'
import { replay } from './log-replay.ts'
import { chooseStrategy } from '../api/settings.ts'
import type { Settings } from '../api/settings.ts'
import { checkFloor } from '../engine/budget-plan.ts'
import { withMemory } from '../engine/wait-for-lease.ts'
import { Tree } from '../state/tree.ts'

/**
 * A living former owner takes file numbers until it notices that it was fenced, within a second. This gap keeps its files apart
 * from ours.
 */
const TAKEOVER_GAP = 2 ** 16

export interface RecoveryReport {
  logSegments: number
  operations: number
  /** Bytes at the end of the log given up as unfinished. */
  droppedBytes: number
  orphansRemoved: number
  elapsedMs: number
}

/**
 * The names in a directory, which must hold a store or be fit for a new one. Before the lock is held another process may be
 * replacing files, so a listing may miss one: then only a directory without any file of a store is judged.
 */
export function inspect(files: HostFiles, directory: string, settings: Settings, isLocked: boolean): string[] {
  const names = files.exists(directory) ? files.list(directory) : []
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

/** Recover the state of the files. `isTakeover`: the former owner may be alive. */
export function recover(core: StoreState, isTakeover: boolean, makeBackground: () => Background): { background: Background, report: RecoveryReport } {
  const startedMs = core.host.clock.nowMs()
  const names = inspect(core.files.io, core.files.directory, core.settings, true)
  const found = core.files.manifests.load(names)
  const files: StoredFile[] = names.map(name => ({ name, ...parseName(name) }))
  const largest = files.reduce((most, { number }) => Math.max(most, number), 0)
  core.strategy = chooseStrategy(core.settings.compaction, found?.strategy, core.engine.plan.maxRuns)
  const strategy = { name: core.strategy.name, parameters: core.strategy.parameters }
  const base: Version = { ...(found ?? { number: 0, epoch: 0, lastSeq: 0, logFloor: 1, nextFile: 1, nextRun: 1, runs: [] }), strategy }
  const next = Math.max(base.nextFile, largest + 1) + (isTakeover ? TAKEOVER_GAP : 0)
  Atomics.store(core.files.nextNumber, 0, core.files.firstOwnNumber(next))
  core.lastSeq = base.lastSeq

  for (const run of base.runs) {
    for (const record of run.tables) {
      const reader = withMemory(core.engine, () => core.tables.open(record))
      for (const number of reader.properties.valueFiles) withMemory(core.engine, () => { core.valueFiles.retain([number]) })
    }
  }
  withMemory(core.engine, () => { core.tables.holdRuns(base.runs.length) })
  checkFloor(core.engine.plan, core.engine.metadataBytes)
  const release = withMemory(core.engine, () => core.engine.jobs.leaseLogReading(LOG_READ_BUFFER_BYTES))
  try {
    const { background, report } = recoverLog(core, base, files, isTakeover, makeBackground)
    report.elapsedMs = core.host.clock.nowMs() - startedMs
    return { background, report }
  } finally {
    release()
  }
}

/** With open tables: judge the log, begin the epoch, remove unneeded files, replay the log. */
function recoverLog(
  core: StoreState, base: Version, files: readonly StoredFile[], isTakeover: boolean, makeBackground: () => Background,
): { background: Background, report: RecoveryReport } {
  const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)
  const numbers = files.filter(({ kind }) => kind === 'log').map(({ number }) => number).sort((a, b) => a - b)
  const { history, isDurable } = durableHistory(core, base, numbers, buffer, isTakeover)
  const parts = history.parts.filter(({ operations }) => operations > 0)

  const version = openingVersion(base, Atomics.load(core.files.nextNumber, 0), parts, isDurable)
  core.setTables(version, new Tree(version, core.tables.readers, core.strategy))
  core.files.manifests.commit(version)

  const kept = new Set([...base.runs.flatMap(run => run.tables.map(table => table.fileNumber)), ...parts.map(({ number }) => number)])
  let orphansRemoved = 0
  for (const { name, kind, number } of files) {
    const isOrphan = kind === 'temporary' || (kind === 'manifest' && number < base.number) || ((kind === 'table' || kind === 'log') && !kept.has(number))
    if (!isOrphan) continue
    core.files.discard(core.host.join(core.files.directory, name))
    orphansRemoved++
  }

  const background = makeBackground()
  const operations = replay(core, background, parts, buffer)
  const referenced = new Set(core.valueFiles.numbers())
  for (const { kind, number } of files) {
    if (kind !== 'value' || referenced.has(number)) continue
    core.files.discard(core.files.valuePath(number))
    orphansRemoved++
  }
  return { background, report: { logSegments: history.parts.length, operations, droppedBytes: history.droppedBytes, orphansRemoved, elapsedMs: 0 } }
}

/** The first version of an epoch, which records where the log of earlier owners ends. */
function openingVersion(version: Version, nextFile: number, parts: readonly LogPart[], isDurable: boolean): Version {
  const { closed: _closed, earlier: _earlier, ...base } = version
  const logs = parts.map(({ number, endOffset }) => [number, endOffset] as const)
  return {
    ...base, number: base.number + 1, epoch: base.epoch + 1, nextFile,
    logFloor: logs[0]?.[0] ?? nextFile,
    ...(logs.length === 0 ? {} : { earlier: { before: nextFile, logs, ...(isDurable ? { durable: true } : {}) } }),
  }
}

/** `db.stats()` and `db.verify()`. */
import { CorruptionError } from '../base/errors.ts'
import type { HostFile } from '../host/host.ts'
import { nextLogged } from '../manifest/version.ts'
import { tableDamage } from '../table/table-damage.ts'
import { valueFileDamage, verifyValueFile } from '../table/value-file.ts'
import { LOG_READ_BUFFER_BYTES, scanLog } from '../wal/log-reader.ts'
import type { LogContents } from '../wal/log-reader.ts'
import type { GroupCommit } from './write/group-commit.ts'
import type { StoreState } from './state/store-state.ts'
import type { RecoveryReport } from './open/recovery.ts'
import type { StoreStats, TransactionReport, VerifyReport } from './api/reports.ts'
import { Findings, MAX_PLACES } from './verify/findings.ts'
import { verifyDirectory } from './verify/verify-directory.ts'
import type { Writer } from './write/writer.ts'

export function statsOf(core: StoreState, committer: GroupCommit, writer: Writer, recovery: RecoveryReport, transactions: TransactionReport): StoreStats {
  const { counters, view: { tree, version }, snapshots } = core
  const { hits, misses, blocks, bytes } = core.engine.reading.cache.stats()
  const { logBytes, flushBytes, mergeBytes, valueFileBytes: valueBytes, userBytes, operations } = counters
  const manifestBytes = core.files.manifests.bytesWritten
  const { oldest } = snapshots
  return {
    epoch: version.epoch,
    manifest: version.number,
    lastSeq: core.lastSeq,
    durability: core.settings.durability,
    strategy: { name: version.strategy.name, parameters: version.strategy.parameters },
    runs: tree.runs.map(run => ({
      id: run.id, level: run.level, tables: run.readers.length, bytes: run.bytes, entries: run.entries, deletes: run.deletes,
    })),
    tables: tree.tableCount,
    tableBytes: tree.tableBytes,
    valueFiles: core.valueFiles.count,
    memtables: [core.view.active, ...core.view.sealed].map((slot, i) => ({
      entries: slot.memtable.entryCount, bytes: slot.memtable.usedBytes, capacityBytes: slot.memtable.capacityBytes, sealed: i > 0,
    })),
    written: {
      userBytes, operations, logBytes, flushBytes, mergeBytes, valueFileBytes: valueBytes, manifestBytes,
      amplification: userBytes === 0 ? 0 : (logBytes + flushBytes + mergeBytes + valueBytes + manifestBytes) / userBytes,
    },
    flushes: counters.flushes,
    merges: counters.merges,
    backgroundErrors: counters.backgroundErrors,
    ...(core.health.lastBackgroundError === undefined ? {} : { lastBackgroundError: core.health.lastBackgroundError.message }),
    removals: core.files.obsolete.report(),
    stalls: committer.stalls.report(),
    waiting: { writes: writer.waiting, bytes: writer.waitingBytes },
    unflushedBytes: [core.view.active, ...core.view.sealed].reduce((bytes, { memtable }) => bytes + memtable.liveBytes, 0),
    governor: core.engine.governor.report(),
    cache: { hits, misses, blocks, bytes, compressed: core.engine.reading.cache.blocks.secondStats(), rows: core.engine.reading.cache.rowStats() },
    transactions,
    snapshots: {
      open: snapshots.size,
      ...(oldest === undefined ? {} : { oldestSeq: oldest.seq, oldestAgeMs: core.host.clock.nowMs() - oldest.openedMs }),
    },
    iterators: core.iterators.size,
    recovery,
    background: core.engine.jobs.runner.mode,
    ...(core.engine.whyInline === undefined ? {} : { backgroundReason: core.engine.whyInline }),
  }
}

/**
 * Read and check every byte of manifest, log segments, tables and value files. Damage is listed, not thrown. Unwritten frames are
 * no damage; files removed meanwhile are skipped. Yields to the event loop between files.
 */
export async function verifyStore(core: StoreState, committer: GroupCommit): Promise<VerifyReport> {
  if (core.settings.isReadOnly) return verifyRead(core)
  const findings = new Findings()
  const { report } = findings
  // A file is checked without a pause, so the kernels for reading can be used; only a log frame needs memory of its own.
  const { kernels } = core.engine
  const check = async (pathOf: () => string, work: (path: string) => void, listAll?: (path: string) => readonly CorruptionError[]): Promise<void> => {
    await new Promise<void>(resolve => core.host.scheduler.soon(resolve))
    core.health.checkOpen()
    const path = pathOf()
    findings.check(path, () => work(path), listAll === undefined ? undefined : () => listAll(path))
  }
  await check(() => core.files.manifests.newestPath, () => {
    report.manifests++
    report.bytes += core.files.manifests.verify()
  })
  const release = await leaseReading(core)
  const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)
  try {
    await checkLogs()
  } finally {
    release()
  }
  for (const number of [...core.tables.readers.keys()]) {
    await check(() => core.files.tablePath(number), path => {
      const reader = core.tables.readers.get(number)
      if (reader === undefined) return
      const { entries, blocks, fileBytes } = reader.properties
      report.tables++
      report.bytes += fileBytes
      // An open file can be read even if it was removed, but only until the store closes.
      if (!core.files.io.exists(path)) throw new CorruptionError(path, 0, 'the table is missing, though the manifest names it')
      reader.verify(kernels)
      report.entries += entries
      report.blocks += blocks
    }, () => {
      const reader = core.tables.readers.get(number)
      if (reader === undefined) return []
      const { errors, soundBlocks } = tableDamage(reader.file, number, kernels, MAX_PLACES)
      report.blocks += soundBlocks
      return errors
    })
  }
  for (const number of core.valueFiles.numbers()) {
    await check(() => core.files.valuePath(number), path => {
      if (!core.valueFiles.has(number)) return
      report.valueFiles++
      report.bytes += verifyValueFile(core.files.io, path, number, undefined, kernels)
    }, path => valueFileDamage(core.files.io, path, number, kernels, MAX_PLACES))
  }
  return report

  async function checkLogs(): Promise<void> {
    let expectedSeq: number | undefined
    for (const [number] of committer.writtenLogs()) {
      await check(() => core.files.logPath(number), path => {
        const bytes = committer.writtenLogs().find(log => log[0] === number)?.[1]
        const expected = expectedSeq
        expectedSeq = undefined
        if (bytes === undefined) return
        report.logs++
        report.bytes += bytes
        const { nextSeq, operations } = verifyLog(core, path, number, bytes, expected, buffer)
        report.operations += operations
        expectedSeq = nextSeq === undefined ? undefined : nextLogged(core.view.version, nextSeq - 1)
      })
    }
  }
}

/** For a store opened for reading: its directory as it is, without the temporary tables of replay. */
async function verifyRead(core: StoreState): Promise<VerifyReport> {
  const release = await leaseReading(core)
  const { host, files: { io: files, directory }, engine: { kernels } } = core
  try {
    return await verifyDirectory({ host, files, directory, mountId: core.files.mountId, kernels, buffer: new Uint8Array(LOG_READ_BUFFER_BYTES), account: core.engine.metadata })
  } finally {
    release()
  }
}

/** Memory for a log frame, once no job holds it. */
async function leaseReading(core: StoreState): Promise<() => void> {
  for (;;) {
    try {
      return core.engine.jobs.leaseLogReading(LOG_READ_BUFFER_BYTES)
    } catch (error) {
      if (!core.engine.jobs.isBusy) throw error
    }
    await new Promise<void>(resolve => core.host.scheduler.soon(resolve))
  }
}

/** Check the first `bytes` of a log segment: all that was written to it. */
function verifyLog(core: StoreState, path: string, number: number, bytes: number, expectedSeq: number | undefined, buffer: Uint8Array): LogContents {
  const { kernels } = core.engine
  let file: HostFile
  try {
    file = core.files.io.openRead(path)
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ENOENT') throw cause
    throw new CorruptionError(path, 0, 'the log segment is missing', { cause })
  }
  try {
    const contents = scanLog(file, number, buffer, kernels, core.files.mountId, { expectedSeq, endBytes: bytes })
    const { endOffset } = contents
    if (endOffset < bytes) throw new CorruptionError(path, endOffset, `${bytes} bytes were written to this log segment, of which ${endOffset} are whole`)
    return contents
  } finally {
    file.close()
  }
}

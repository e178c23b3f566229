/** `db.stats()` and `db.verify()`. */
import { SpillwayError } from '../base/errors.ts'
import { verifyValueFile } from '../table/value-file-reader.ts'
import { VALUE_FILE_HEADER_BYTES, valueFileBytes } from '../table/value-file.ts'
import type { Background } from './background.ts'
import type { Committer } from './commit.ts'
import type { Core } from './core.ts'
import type { RecoveryReport } from './recovery.ts'
import type { StoreStats, VerifyReport } from './types.ts'

export function statsOf(core: Core, committer: Committer, background: Background, recovery: RecoveryReport): StoreStats {
  const { counters, tree, version, snapshots } = core
  const { hits, misses, blocks, bytes } = core.cache.stats()
  const { logBytes, flushBytes, mergeBytes, valueFileBytes: valueBytes, userBytes, operations } = counters
  const manifestBytes = core.manifests.bytesWritten
  const { oldest } = snapshots
  const { currentStall } = committer
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
    memtables: [core.active, ...core.sealed].map((slot, i) => ({
      entries: slot.memtable.entryCount, bytes: slot.memtable.usedBytes, capacityBytes: slot.memtable.capacityBytes, sealed: i > 0,
    })),
    written: {
      userBytes, operations, logBytes, flushBytes, mergeBytes, valueFileBytes: valueBytes, manifestBytes,
      amplification: userBytes === 0 ? 0 : (logBytes + flushBytes + mergeBytes + valueBytes + manifestBytes) / userBytes,
    },
    flushes: counters.flushes,
    merges: counters.merges,
    backgroundErrors: counters.backgroundErrors,
    ...(core.lastBackgroundError === undefined ? {} : { lastBackgroundError: core.lastBackgroundError.message }),
    stalls: { count: counters.stallCount, totalMs: counters.stallMs, ...(currentStall === undefined ? {} : { current: currentStall }) },
    cache: { hits, misses, blocks, bytes },
    snapshots: {
      open: snapshots.size,
      ...(oldest === undefined ? {} : { oldestSeq: oldest.seq, oldestAgeMs: core.host.clock.nowMs() - oldest.openedMs }),
    },
    iterators: core.iterators.size,
    recovery,
    background: core.engine.runner.mode,
  }
}

/**
 * Read and check every byte of every table and value file. Damage is listed, not thrown. The event loop gets a turn
 * between files. Files that a merge removes meanwhile are left out.
 */
export async function verifyStore(core: Core): Promise<VerifyReport> {
  const report: VerifyReport = { tables: 0, entries: 0, valueFiles: 0, bytes: 0, errors: [] }
  // A file is checked without a pause, so the kernels of reading can be used: verifying needs no memory of its own.
  const { kernels } = core
  const check = async (path: string, work: () => void): Promise<void> => {
    await new Promise<void>(resolve => core.host.scheduler.soon(resolve))
    core.checkOpen()
    try {
      work()
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error
      const offset = error.details['offset']
      report.errors.push({ file: path, message: error.message, ...(typeof offset === 'number' ? { offset } : {}) })
    }
  }
  for (const number of [...core.tables.readers.keys()]) {
    await check(core.tablePath(number), () => {
      const reader = core.tables.readers.get(number)
      if (reader === undefined) return
      report.tables++
      report.entries += reader.properties.entries
      report.bytes += reader.properties.fileBytes
      reader.verify(kernels)
    })
  }
  for (const number of core.valueFiles.numbers()) {
    await check(core.valuePath(number), () => {
      const path = core.valuePath(number)
      const { files } = core.host
      if (!core.valueFiles.has(number)) return
      const lengthBytes = valueLength(files.exists(path) ? sizeOf(core, path) : 0)
      report.valueFiles++
      report.bytes += lengthBytes
      verifyValueFile(files, path, number, lengthBytes, kernels)
    })
  }
  return report
}

function sizeOf(core: Core, path: string): number {
  const file = core.host.files.openRead(path)
  try {
    return file.size()
  } finally {
    file.close()
  }
}

/** The length of the value in a file of so many bytes; the header says the same, or the check fails. */
function valueLength(fileBytes: number): number {
  let low = 0
  let high = Math.max(0, fileBytes - VALUE_FILE_HEADER_BYTES)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (valueFileBytes(middle) < fileBytes) low = middle + 1
    else high = middle
  }
  return low
}

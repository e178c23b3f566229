/** `spillway verify`: checks the directory of a store that is not open, and may be too damaged to open. */
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { newestManifest, parseName } from '../../base/file-names.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { KERNEL_REGION_BYTES } from '../../compaction/jobs.ts'
import type { Host, HostDirectory } from '../../host/host.ts'
import { changedError } from '../../host/locked-error.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import { Budget } from '../../memory/budget.ts'
import { LOG_READ_BUFFER_BYTES } from '../../wal/log-reader.ts'
import { ioError } from '../api/io-errors.ts'
import type { VerifyReport } from '../api/reports.ts'
import { verifyDirectory } from './verify-directory.ts'

/** Read-ahead of a table, and copies of its filters and index nodes. */
const TABLE_BYTES = 512 * 1024
const STORE_KINDS: ReadonlySet<string> = new Set(['manifest', 'table', 'log', 'value'])

export interface VerifyOptions {
  /** Bytes, or a text such as "64 MiB". About 2 MiB are needed, plus the manifest and the largest index. */
  budget: number | string
  /** Default: this machine. */
  host?: Host
}

/**
 * Check every file of a store, change none, and take no lock. Damage is listed in the report, not thrown. Throws INVALID_ARGUMENT
 * without a store, LOCKED when it is open or was opened meanwhile, BUDGET_TOO_SMALL, and UNAVAILABLE when the directory cannot be
 * listed.
 */
export async function verifyClosed(path: string, { budget: size, host = nodeHost() }: VerifyOptions): Promise<VerifyReport> {
  const directory = host.resolve(path)
  const budget = new Budget(size)
  const account = budget.account('verify')
  const lease = account.lease(Kernels.bytesFor(KERNEL_REGION_BYTES) + LOG_READ_BUFFER_BYTES + TABLE_BYTES)
  let opened: HostDirectory | undefined
  try {
    opened = host.openDirectory(directory)
    const { files } = opened
    const before = files.list(directory)
    if (!before.some(name => STORE_KINDS.has(parseName(name).kind))) throw invalidArgument(`${directory} has no store: there is no file of one in it`, { directory })
    await opened.checkUnlocked()
    const kernels = new Kernels(KERNEL_REGION_BYTES)
    const report = await verifyDirectory({ host, files, directory, mountId: opened.mountId(), kernels, buffer: new Uint8Array(LOG_READ_BUFFER_BYTES), account })
    if (newestManifest(files.list(directory)) > newestManifest(before)) throw changedError(directory)
    return report
  } catch (error) {
    throw error instanceof SpillwayError ? error : ioError(error, `verifying ${directory}`)
  } finally {
    opened?.close()
    lease.release()
  }
}

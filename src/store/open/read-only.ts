/**
 * Opening a store for reading only: on a read-only file system, in the directory of another user, beside a backup.
 *
 * Invariants
 * 1. Nothing in the store's directory is made, removed, renamed or changed, and no lock is taken. Whoever holds the lock is seen as far as
 *    the host can tell, and refused.
 * 2. The state is that which opening for writing would recover: the newest manifest, and the log replayed over it, in memory.
 * 3. What of the log does not fit there goes to tables in a scratch directory, which ends with the store or the process.
 * 4. Nothing is written by calls: every one that would is READ_ONLY.
 *
 * Where a reader will follow a living writer, `recoverForReading` is what begins anew with each manifest.
 *
 * Accounts: those of a store.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { HostDirectory, HostLock } from '../../host/host.ts'
import { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import { recover } from './recovery.ts'
import type { RecoveryReport } from './recovery.ts'
import type { ReadOnlyFiles } from './read-only-files.ts'

/** Flushes the part of the log that memory cannot hold to temporary tables, and merges nothing. Value files stay where they are. */
export function readOnlyBackground(store: StoreState, spill: ReadOnlyFiles): Background {
  return new Background(store, { merges: false, output: () => ({ directoryPrefix: spill.make(), place: undefined, isScratch: true }) })
}

/** What takes the place of the lock, and holds nothing. Throws LOCKED when somebody is seen to write. */
export async function holdForReading(directory: HostDirectory): Promise<HostLock> {
  await directory.checkUnlocked()
  return { isTakeover: false, check: () => {}, release: async () => {} }
}

/** Bring the store to the state of its files, and leave those alone. */
export function recoverForReading(core: StoreState, makeBackground: () => Background): { background: Background, report: RecoveryReport } {
  const { background, report } = recover(core, false, makeBackground)
  const { epoch, number } = core.files.manifests.stored!
  // No version is its own: those in between were in memory only.
  core.setVersion({ ...core.view.version, epoch, number })
  core.health.failStop(readOnlyError(core.files.directory))
  return { background, report: { ...report, orphansRemoved: 0 } }
}

export function readOnlyError(directory: string): SpillwayError {
  return new SpillwayError('SPILLWAY_READ_ONLY', `${directory} was opened for reading only. Close it and open it for writing`, { details: { directory } })
}

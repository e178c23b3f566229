/**
 * Opens a store for reading only: on a read-only file system, in another user's directory, next to a backup.
 *
 * Invariants
 * 1. Nothing in the directory is made, removed, renamed or changed, and no lock is taken. A visible holder of the lock makes
 *    opening fail.
 * 2. The state is the one that opening for writing would recover: the newest manifest, and the log replayed in memory.
 * 3. Log data that does not fit in memory goes to tables in a scratch directory, removed with the store or the process.
 * 4. Calls that would write are READ_ONLY.
 *
 * A reader that follows a living writer will call `recoverForReading` for each manifest.
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

/** Flushes what memory cannot hold to temporary tables and merges nothing. Value files stay in place. */
export function readOnlyBackground(store: StoreState, spill: ReadOnlyFiles): Background {
  return new Background(store, { merges: false, output: () => ({ directoryPrefix: spill.make(), place: undefined, isScratch: true }) })
}

/** A lock that holds nothing. Throws LOCKED when a writer is seen. */
export async function holdForReading(directory: HostDirectory): Promise<HostLock> {
  await directory.checkUnlocked()
  return { isTakeover: false, check: () => {}, release: async () => {} }
}

/** Recover the state of the files without changing them. */
export function recoverForReading(core: StoreState, makeBackground: () => Background): { background: Background, report: RecoveryReport } {
  const { background, report } = recover(core, false, makeBackground)
  const { epoch, number } = core.files.manifests.stored!
  // No version is its own: intermediate ones existed in memory only.
  core.setVersion({ ...core.view.version, epoch, number })
  core.health.failStop(readOnlyError(core.files.directory))
  return { background, report: { ...report, orphansRemoved: 0 } }
}

export function readOnlyError(directory: string): SpillwayError {
  return new SpillwayError('SPILLWAY_READ_ONLY', `${directory} was opened for reading only. Close it and open it for writing`, { details: { directory } })
}

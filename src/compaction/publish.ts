/**
 * The job that publishes a new manifest off the caller's thread.
 *
 * Invariants
 * 1. It only adds: the caller removes superseded manifests, so a job that outlives its caller does no harm.
 * 2. Nothing is published that names tables of which the system has reported a late sync error.
 *
 * Cost: two device writes and a directory listing.
 */
import { newestManifest } from '../base/file-names.ts'
import type { DirectoryReference, JobContext, JobWait } from '../host/host.ts'
import { notDurable } from './sync-errors.ts'

export interface PublishArgs {
  place: DirectoryReference | undefined
  directory: string
  path: string
  bytes: Uint8Array
}

/** Returns the largest manifest number in the directory; undefined: published, but not listed. EEXIST: another writer has published. */
export function* publish({ files: all, beginSync, lateSyncError }: JobContext, { place, directory, path, bytes }: PublishArgs): Generator<JobWait | void, number | undefined, void> {
  const check = (): void => {
    const lateError = lateSyncError?.(directory)
    if (lateError !== undefined) throw notDurable(`tables in ${directory}`, lateError)
  }
  check()
  const files = all.within(place)
  yield* files.publishInSteps(path, bytes, beginSync)
  // This job's own syncs: the manifest may not last.
  check()
  try {
    return newestManifest(files.list(directory))
  } catch {
    // An error would mean that nothing was published.
    return undefined
  }
}

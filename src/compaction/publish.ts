/**
 * The job that publishes a new manifest, so that the caller's thread does not wait for the disk.
 *
 * Invariants
 * 1. It only adds: superseded manifests are removed by the caller once it knows the outcome. So a job that outlives its caller does
 *    no harm.
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

/**
 * Returns the largest manifest number in the directory afterwards; undefined: published, but the directory could not be listed.
 * EEXIST: another writer's is there.
 */
export function* publish({ files: all, beginSync, lateSyncError }: JobContext, { place, directory, path, bytes }: PublishArgs): Generator<JobWait | void, number | undefined, void> {
  const check = (): void => {
    const lateError = lateSyncError?.(directory)
    if (lateError !== undefined) throw notDurable(`tables in ${directory}`, lateError)
  }
  check()
  const files = all.within(place)
  yield* files.publishInSteps(path, bytes, beginSync)
  // Of its own syncs: the manifest exists then, perhaps not for long.
  check()
  try {
    return newestManifest(files.list(directory))
  } catch {
    // An error would count as a failure to publish. The caller lists again.
    return undefined
  }
}

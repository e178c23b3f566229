/**
 * The job that puts a new manifest beside the tables it names: the caller's thread does not wait for the disk.
 *
 * Invariants
 * 1. It only adds: what a newer manifest has made superfluous is removed by who asked, once that knows how this ended. So one that
 *    goes on after its caller has given it up does no harm.
 * 2. Nothing is published that names tables of which the system said late that they are not durable.
 *
 * Cost: two writes to the device, and a listing of the directory.
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
 * Returns the largest number of a manifest in the directory afterwards; undefined: it is there, but the directory could not be listed.
 * EEXIST: somebody else's is there.
 */
export function* publish({ files: all, beginSync, lateSyncError }: JobContext, { place, directory, path, bytes }: PublishArgs): Generator<JobWait | void, number | undefined, void> {
  const check = (): void => {
    const lateError = lateSyncError?.(directory)
    if (lateError !== undefined) throw notDurable(`tables in ${directory}`, lateError)
  }
  check()
  const files = all.within(place)
  yield* files.publishInSteps(path, bytes, beginSync)
  // Of its own syncs: the manifest is there then, and nobody knows for how long.
  check()
  try {
    return newestManifest(files.list(directory))
  } catch {
    // An error would be taken for one of publishing. Who asked lists it again.
    return undefined
  }
}

/** The error of a directory that another store holds. */
import { SpillwayError } from '../base/errors.ts'
import type { LockHolder } from './host.ts'

/** For a directory read without a lock, which another process may change: missing data is no damage. */
export function changedError(directory: string, cause?: unknown): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_LOCKED', `${directory} was opened for writing while it was read. Close the store there and try again`, { cause, details: { directory } },
  )
}

/**
 * @param holder the lock's holder; undefined: unknown
 * @param isSelf whether the holder is this process
 * @param hint a last sentence, for locks that a person may have to remove
 */
export function lockedError(directory: string, holder: LockHolder | undefined, isSelf: boolean, hint = ''): SpillwayError {
  let text: string
  if (holder === undefined) {
    text = `${directory} is open in another process. Close the store there, or end that process, and open it again`
  } else if (isSelf) {
    text = `${directory} is already open in this process (pid ${holder.pid} on ${holder.host}, since ${holder.since}). ` +
      'Close that store first, or share it: one store writes a directory at a time'
  } else {
    text = `${directory} is open in process ${holder.pid} on ${holder.host} since ${holder.since}. ` +
      'Close the store there, or end that process, and open it again'
  }
  return new SpillwayError('SPILLWAY_LOCKED', hint === '' ? text : `${text}. ${hint}`, { details: { directory, ...holder } })
}

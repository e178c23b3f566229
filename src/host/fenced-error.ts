/** Errors of a process that no longer owns a directory. */
import { SpillwayError } from '../base/errors.ts'
import type { LockHolder } from './host.ts'

/** @param what what has become of it */
export function directoryLost(directory: string, what: string, cause?: unknown): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_FENCED',
    `${directory} ${what} while the store was open: nothing more is written. What stands at that path now was not touched. ` +
      'Close the store; if the directory was moved, open it where it is now',
    { cause, details: { directory } },
  )
}

/** @param by the present holder; undefined: unknown */
export function lockLost(directory: string, by: LockHolder | undefined): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_FENCED',
    by === undefined
      ? `the lock of ${directory} was removed while the store was open, so another process may write it now. Close this store and open it again`
      : `process ${by.pid} on ${by.host} has taken ${directory} over, since ${by.since}: this one no longer owns the store. Close it and open it again`,
    { details: { directory, ...by } },
  )
}

/** What could not be made durable and must not be tried again. */
import { SpillwayError } from '../base/errors.ts'

/** What tells such an error, in its details: those reach the main thread. */
const NOT_DURABLE = 'notDurable'

export function notDurable(what: string, cause: unknown): SpillwayError {
  const { message, code } = cause as { message: string, code?: unknown }
  return new SpillwayError('SPILLWAY_UNAVAILABLE', `making the ${what} durable failed: ${message}`, { cause, details: { code, [NOT_DURABLE]: true } })
}

/**
 * True for the error of a job that could not make durable what was written before it. It must not be tried again: after a failed
 * sync nobody knows what is on the disk, and a later one that succeeds proves nothing.
 */
export function isNotDurable(error: Error): boolean {
  return (error as { details?: Record<string, unknown> }).details?.[NOT_DURABLE] === true
}

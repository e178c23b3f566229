import { SpillwayError } from '../base/errors.ts'
import { errorCode } from '../host/file-error.ts'

/** In the error's details, which reach the main thread. */
const NOT_DURABLE = 'notDurable'

export function notDurable(what: string, cause: unknown): SpillwayError {
  const { message } = cause as Error
  const code = errorCode(cause)
  return new SpillwayError('SPILLWAY_UNAVAILABLE', `making the ${what} durable failed: ${message}`, { cause, details: { code, [NOT_DURABLE]: true } })
}

/** Not to be retried: after a failed sync the disk's content is unknown, and a later success proves nothing. */
export function isNotDurable(error: Error): boolean {
  return (error as { details?: Record<string, unknown> }).details?.[NOT_DURABLE] === true
}

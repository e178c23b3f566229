/** Errors for callers of jobs that give no result. */
import { SpillwayError } from '../base/errors.ts'
import type { JobRequest } from './host.ts'

export type Done = (error: Error | undefined, result: unknown) => void

export function abortedError(): SpillwayError {
  return new SpillwayError('SPILLWAY_ABORTED', 'the job was stopped because the store closed')
}

export function closedError(request: JobRequest): SpillwayError {
  return new SpillwayError('SPILLWAY_CLOSED', `job "${request.name}" was submitted after close`)
}

export function argumentsError(request: JobRequest, cause: unknown): SpillwayError {
  const message = `job "${request.name}": its arguments cannot be copied to a worker (${(cause as Error).message})`
  return new SpillwayError('SPILLWAY_INVALID_ARGUMENT', message, { cause })
}

/** Every caller gets the error, even if another's callback throws. */
export function failAll(waiting: Iterable<Done>, error: Error): void {
  let thrown: unknown
  let threw = false
  for (const done of waiting) {
    try {
      done(error, undefined)
    } catch (caught) {
      thrown = caught
      threw = true
    }
  }
  if (threw) throw thrown
}

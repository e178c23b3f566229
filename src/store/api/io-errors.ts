/** Errors of the file system as typed errors: a full disk is NO_SPACE, the rest UNAVAILABLE, with a remedy. */
import { SpillwayError } from '../../base/errors.ts'

/** A typed error for a file error thrown by a read; others are returned as they are. */
export function readError(error: unknown): unknown {
  if (error instanceof SpillwayError) return error
  return typeof (error as { syscall?: unknown } | null | undefined)?.syscall === 'string' ? ioError(error, 'reading') : error
}

export function ioError(error: unknown, doing: string): Error {
  if (error instanceof SpillwayError) return error
  const code = (error as { code?: unknown }).code
  const message = error instanceof Error ? error.message : String(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SpillwayError(
      'SPILLWAY_NO_SPACE',
      `the disk is full (${doing}: ${message}). Nothing was lost; free some space and write again, no restart is needed`,
      { cause: error, details: { doing } },
    )
  }
  if (typeof code === 'string') {
    return new SpillwayError('SPILLWAY_UNAVAILABLE', `${doing} failed: ${message}`, { cause: error, details: { doing, code } })
  }
  return error instanceof Error ? error : new Error(message)
}

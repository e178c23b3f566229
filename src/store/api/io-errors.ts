/** File errors as typed errors: a full disk is NO_SPACE, others UNAVAILABLE, with a remedy. */
import { SpillwayError } from '../../base/errors.ts'
import { errorCode, isOutOfDescriptors } from '../../host/file-error.ts'

const IS_FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/** Type a file error of a read; return others. */
export function readError(error: unknown): unknown {
  if (error instanceof SpillwayError) return error
  return typeof (error as { syscall?: unknown } | null | undefined)?.syscall === 'string' ? ioError(error, 'reading') : error
}

export function ioError(error: unknown, doing: string): Error {
  const told = outline(error, doing)
  if (told === undefined) return error as Error
  const { full, code, message } = told
  if (full !== undefined) return noSpace(`${full}. Nothing was lost; free some space and write again, no restart is needed`, error, doing)
  const remedy = isOutOfDescriptors(error) ? '. Nothing was lost; it goes on, without a restart, when files were closed or more may be open (ulimit -n)' : ''
  return unavailable(message + remedy, error, doing, code)
}

/**
 * The error of a failed sync. Data since the last good one may exist only in the page cache, marked clean, so a later sync proves
 * nothing. The next open writes it again (`open/log-renewal.ts`).
 */
export function syncError(error: unknown, doing: string): Error {
  if (isOutOfDescriptors(error)) return ioError(error, doing)
  const told = outline(error, doing)
  if (told === undefined) return error as Error
  const state = 'What was written since the last sync may not be on the disk, and the store takes no more writes'
  const remedy = 'close it and open it again before the machine restarts, which writes it again'
  if (told.full !== undefined) return noSpace(`${told.full}. ${state}: free some space, ${remedy}`, error, doing)
  return unavailable(`${told.message}. ${state}: ${remedy}`, error, doing, told.code)
}

/** Undefined: already typed, or not of the file system. `full`: the message for a full disk. */
function outline(error: unknown, doing: string): { full: string | undefined, code: string, message: string } | undefined {
  if (error instanceof SpillwayError) return undefined
  const message = error instanceof Error ? error.message : String(error)
  const code = errorCode(error)
  if (code === '' && error instanceof Error) return undefined
  const full = IS_FULL.has(code) ? `${code === 'EDQUOT' ? 'the quota is used up' : 'the disk is full'} (${doing}: ${message})` : undefined
  return { full, code, message: code === '' ? message : `${doing} failed: ${message}` }
}

function noSpace(message: string, cause: unknown, doing: string): SpillwayError {
  return new SpillwayError('SPILLWAY_NO_SPACE', message, { cause, details: { doing } })
}

function unavailable(message: string, cause: unknown, doing: string, code: string): Error {
  return code === '' ? new Error(message) : new SpillwayError('SPILLWAY_UNAVAILABLE', message, { cause, details: { doing, code } })
}

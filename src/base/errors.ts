/** Errors the store raises on purpose: a stable `code`, a message with numbers and a remedy, and `details` with the same numbers. */
export type SpillwayErrorCode =
  | 'SPILLWAY_LOCKED'
  | 'SPILLWAY_CLOSED'
  | 'SPILLWAY_CORRUPTION'
  | 'SPILLWAY_BUDGET_TOO_SMALL'
  | 'SPILLWAY_CONFLICT'
  | 'SPILLWAY_ABORTED'
  | 'SPILLWAY_INVALID_ARGUMENT'
  | 'SPILLWAY_DECODING'
  | 'SPILLWAY_NO_SPACE'
  | 'SPILLWAY_READ_ONLY'
  | 'SPILLWAY_FENCED'
  | 'SPILLWAY_UNAVAILABLE'

export interface SpillwayErrorOptions {
  cause?: unknown
  details?: Record<string, unknown> | undefined
}

export class SpillwayError extends Error {
  readonly code: SpillwayErrorCode
  readonly details: Record<string, unknown>

  constructor(code: SpillwayErrorCode, message: string, options: SpillwayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SpillwayError'
    this.code = code
    this.details = options.details ?? {}
  }
}

const RESTORE = `. Restore the store's directory from a backup; "spillway verify" lists every damaged file`

/** Stored bytes are not what was written. `details` holds `file` and `offset`. */
export class CorruptionError extends SpillwayError {
  constructor(file: string, offset: number, what: string, options: SpillwayErrorOptions = {}) {
    super(
      'SPILLWAY_CORRUPTION',
      `${file} at offset ${offset}: ${what}${RESTORE}`,
      { ...options, details: { file, offset, ...options.details } },
    )
    this.name = 'CorruptionError'
  }
}

/** The damage alone, without the place and the remedy of the message. */
export function damageOf({ message, details }: CorruptionError): string {
  const place = `${details['file']} at offset ${details['offset']}: `
  const end = message.endsWith(RESTORE) ? message.length - RESTORE.length : message.length
  return message.slice(message.startsWith(place) ? place.length : 0, end)
}

/** An invalid argument or option. Nothing was changed. */
export function invalidArgument(message: string, details?: Record<string, unknown>): SpillwayError {
  return new SpillwayError('SPILLWAY_INVALID_ARGUMENT', message, details === undefined ? {} : { details })
}

/** An error as plain data for messages between threads; `reviveError` is its twin. */
export interface PlainError {
  name: string
  message: string
  code?: string
  errno?: number
  details?: Record<string, unknown>
  stack?: string
}

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const plain: PlainError = { name: error.name, message: error.message }
  const { code, errno, details } = error as { code?: unknown; errno?: unknown; details?: unknown }
  if (typeof code === 'string') plain.code = code
  // Of some errors of the system the runtime knows no name.
  if (typeof errno === 'number') plain.errno = errno
  if (details !== undefined) plain.details = details as Record<string, unknown>
  if (error.stack !== undefined) plain.stack = error.stack
  return plain
}

export function reviveError(plain: PlainError): Error {
  const error = plain.code?.startsWith('SPILLWAY_') ? revivedOwn(plain) : revivedOther(plain)
  error.name = plain.name
  // Where it was raised helps more.
  if (plain.stack !== undefined) error.stack = plain.stack
  return error
}

function revivedOwn(plain: PlainError): SpillwayError {
  const error = new SpillwayError(plain.code as SpillwayErrorCode, plain.message, plain.details ? { details: plain.details } : {})
  if (plain.name === 'CorruptionError') Object.setPrototypeOf(error, CorruptionError.prototype)
  return error
}

function revivedOther(plain: PlainError): Error {
  const error = new Error(plain.message)
  if (plain.code !== undefined) (error as Error & { code?: string }).code = plain.code
  if (plain.errno !== undefined) (error as Error & { errno?: number }).errno = plain.errno
  return error
}

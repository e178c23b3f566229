/**
 * Errors of encodings: a code, the key, the encoding and a remedy. An encoding does not know the key; its caller adds it with
 * `ofKey`.
 */
import { SpillwayError } from '../base/errors.ts'
import type { SpillwayErrorCode } from '../base/errors.ts'
import { describeBytes } from '../base/bytes.ts'
import { isBytes } from '../base/realms.ts'

/** Maximum characters of a key in a message. */
const SHOWN = 64

/**
 * Thrown while encoding (INVALID_ARGUMENT: nothing was written) or decoding (DECODING: the stored bytes stay). `details` holds
 * `encoding`; once the key is known `key`, readable, and `part`, 'key' or 'value'; in a scan also `keyBytes`. `cause` is the error
 * of the codec or JSON.
 */
export class EncodingError extends SpillwayError {
  readonly #text: string

  constructor(code: SpillwayErrorCode, text: string, encoding: string, cause: unknown, subject = '', details: Record<string, unknown> = {}) {
    super(code, `${subject}${text}`, { cause, details: { encoding, ...details } })
    this.#text = text
  }

  /** @internal The same error with its key, unless it has one. */
  of(part: 'key' | 'value', key: unknown): EncodingError {
    if ('key' in this.details) return this
    const shown = describeKey(key)
    const isDecoding = this.code === 'SPILLWAY_DECODING'
    const subject = part === 'key' ? `the key ${shown}: ` : `the value ${isDecoding ? 'of' : 'for'} key ${shown}: `
    const details = { ...this.details, key: shown, part, ...(isDecoding && isBytes(key) ? { keyBytes: key } : {}) }
    const error = new EncodingError(this.code, this.#text, this.details['encoding'] as string, this.cause, subject, details)
    // Where it was thrown helps more.
    if (this.stack !== undefined) error.stack = this.stack.replace(this.message, () => error.message)
    return error
  }
}

/** The error with its key, if it is an encoding error. */
export function ofKey(error: unknown, part: 'key' | 'value', key: unknown): unknown {
  return error instanceof EncodingError ? error.of(part, key) : error
}

/** A value the encoding does not take. */
export function cannotTake(encoding: string, text: string): EncodingError {
  return new EncodingError('SPILLWAY_INVALID_ARGUMENT', text, encoding, undefined)
}

/** A codec, `toJSON` or JSON threw while encoding. Errors of the store pass unchanged. */
export function encodeFailed(encoding: string, cause: unknown, remedy: string): SpillwayError {
  if (cause instanceof SpillwayError) return cause
  return new EncodingError('SPILLWAY_INVALID_ARGUMENT', `encoding '${encoding}' cannot encode it: ${messageOf(cause)}. ${remedy}`, encoding, cause)
}

/** A codec or JSON threw while decoding. */
export function decodeFailed(encoding: string, cause: unknown): SpillwayError {
  if (cause instanceof SpillwayError) return cause
  return new EncodingError(
    'SPILLWAY_DECODING',
    `encoding '${encoding}' cannot decode it: ${messageOf(cause)}. Read it with the encoding that it was written with, or as 'buffer' to look at its bytes`,
    encoding, cause,
  )
}

/** A lone surrogate has no bytes in UTF-8; its replacement U+FFFD would be the same for all of them. */
export function illFormed(text: string): EncodingError {
  const at = text.search(/\p{Surrogate}/u)
  const unit = text.charCodeAt(at).toString(16)
  return cannotTake('utf8', `the text has half of a surrogate pair (\\u${unit} at index ${at}), which UTF-8 cannot hold. `
    + "Use the encoding 'json', which keeps it, or text.toWellFormed(), which replaces it")
}

/** A key for people. */
export function describeKey(key: unknown): string {
  if (isBytes(key)) return `"${describeBytes(key, SHOWN)}"`
  if (typeof key === 'string') return key.length > SHOWN ? `${JSON.stringify(key.slice(0, SHOWN))}...` : JSON.stringify(key)
  if (typeof key === 'bigint') return `${key}n`
  if (typeof key === 'object' && key !== null) {
    // Values inside may not be encodable either.
    return Array.isArray(key) ? 'that is an array' : `that is an object of ${key.constructor?.name ?? 'no class'}`
  }
  return typeof key === 'function' ? 'that is a function' : String(key)
}

function messageOf(cause: unknown): string {
  const { message } = (cause ?? {}) as { message?: unknown }
  const text = typeof message === 'string' ? message : typeof cause === 'object' && cause !== null ? 'an object was thrown' : String(cause)
  // The first line: JSON's message about a cycle draws it.
  return text.split('\n', 1)[0]!.replace(/\.$/, '')
}

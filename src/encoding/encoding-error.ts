/**
 * Encodings that fail: errors with a code, the key, the encoding and a remedy. An encoding knows what went wrong and not of which key;
 * whoever called it adds the key with `ofKey`.
 */
import { SpillwayError } from '../base/errors.ts'
import type { SpillwayErrorCode } from '../base/errors.ts'
import { describeBytes } from '../base/bytes.ts'
import { isBytes } from '../base/realms.ts'

/** What a message shows of a key. */
const SHOWN = 64

/**
 * Thrown by calls that encode (INVALID_ARGUMENT: nothing was written) or decode (DECODING: the stored bytes stay as they are).
 * `details` holds `encoding`; once the key is known `key`, readable, and `part`, 'key' or 'value'; of a scan also `keyBytes`. `cause`
 * is what the codec or JSON has thrown.
 */
export class EncodingError extends SpillwayError {
  readonly #text: string

  constructor(code: SpillwayErrorCode, text: string, encoding: string, cause: unknown, subject = '', details: Record<string, unknown> = {}) {
    super(code, `${subject}${text}`, { cause, details: { encoding, ...details } })
    this.#text = text
  }

  /** @internal The same of this part of this key; an error that has its key keeps it. */
  of(part: 'key' | 'value', key: unknown): EncodingError {
    if ('key' in this.details) return this
    const shown = describeKey(key)
    const isDecoding = this.code === 'SPILLWAY_DECODING'
    const subject = part === 'key' ? `the key ${shown}: ` : `the value ${isDecoding ? 'of' : 'for'} key ${shown}: `
    const details = { ...this.details, key: shown, part, ...(isDecoding && isBytes(key) ? { keyBytes: key } : {}) }
    const error = new EncodingError(this.code, this.#text, this.details['encoding'] as string, this.cause, subject, details)
    // Where it was thrown helps more than where its key was added.
    if (this.stack !== undefined) error.stack = this.stack.replace(this.message, () => error.message)
    return error
  }
}

/** The error with its key, if it is one of an encoding; any other as it is. */
export function ofKey(error: unknown, part: 'key' | 'value', key: unknown): unknown {
  return error instanceof EncodingError ? error.of(part, key) : error
}

/** An encoding was given what it does not take. */
export function cannotTake(encoding: string, text: string): EncodingError {
  return new EncodingError('SPILLWAY_INVALID_ARGUMENT', text, encoding, undefined)
}

/** Code of the user's own, or JSON, threw while encoding. An error of the store's passes as it is. */
export function encodeFailed(encoding: string, cause: unknown, remedy: string): SpillwayError {
  if (cause instanceof SpillwayError) return cause
  return new EncodingError('SPILLWAY_INVALID_ARGUMENT', `encoding '${encoding}' cannot encode it: ${messageOf(cause)}. ${remedy}`, encoding, cause)
}

/** The same while decoding. */
export function decodeFailed(encoding: string, cause: unknown): SpillwayError {
  if (cause instanceof SpillwayError) return cause
  return new EncodingError(
    'SPILLWAY_DECODING',
    `encoding '${encoding}' cannot decode it: ${messageOf(cause)}. Read it with the encoding that it was written with, or as 'buffer' to look at its bytes`,
    encoding, cause,
  )
}

/** Half of a surrogate pair, which has no bytes in UTF-8: what is written instead, U+FFFD, would be the same for all of them. */
export function illFormed(text: string): EncodingError {
  const at = text.search(/\p{Surrogate}/u)
  const unit = text.charCodeAt(at).toString(16)
  return cannotTake('utf8', `the text has half of a surrogate pair (\\u${unit} at index ${at}), which UTF-8 cannot hold. `
    + "Use the encoding 'json', which keeps it, or text.toWellFormed(), which replaces it")
}

/** A key for a person. */
export function describeKey(key: unknown): string {
  if (isBytes(key)) return `"${describeBytes(key, SHOWN)}"`
  if (typeof key === 'string') return key.length > SHOWN ? `${JSON.stringify(key.slice(0, SHOWN))}...` : JSON.stringify(key)
  if (typeof key === 'bigint') return `${key}n`
  if (typeof key === 'object' && key !== null) {
    // Whatever it has in it, and it may be what cannot be encoded.
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

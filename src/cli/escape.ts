/**
 * Bytes as terminal text and back: printable text unchanged, a backslash doubled, every other byte as \xNN.
 *
 * Invariants
 * 1. unescapeBytes(escapeBytes(b)) equals b, for any bytes.
 * 2. Escaped text has no control, format or unassigned character: stored data cannot steer a terminal. It has no U+FFFD either,
 *    which marks bytes of an argument that are not UTF-8.
 */
import { isUtf8 } from 'node:buffer'
import { UsageError } from './errors.ts'

const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\ufffd\\]/gu
const UNSAFE_BUT_LINES = /(?![\n\t])[\p{C}\p{Zl}\p{Zp}\ufffd\\]/gu
const SAFE_ASCII = /^[\x20-\x5b\x5d-\x7e]*$/

export interface EscapeOptions {
  /** Leave newlines and tabs unescaped. Default false. */
  keepLines?: boolean
}

export function escapeBytes(bytes: Uint8Array, options: EscapeOptions = {}): string {
  const buffer = asBuffer(bytes)
  const unsafe = options.keepLines === true ? UNSAFE_BUT_LINES : UNSAFE
  if (isUtf8(buffer)) {
    const text = buffer.toString('utf8')
    return SAFE_ASCII.test(text) ? text : text.replace(unsafe, escapeCharacter)
  }
  // Keep the sequences that are UTF-8.
  let escaped = ''
  for (let at = 0; at < buffer.length;) {
    const length = sequenceLength(buffer, at)
    if (length === 0) escaped += hex(buffer[at++]!)
    else {
      escaped += buffer.toString('utf8', at, at + length).replace(unsafe, escapeCharacter)
      at += length
    }
  }
  return escaped
}

/** For messages that may quote stored data. Keeps backslashes. */
export function escapeText(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter)
}

/** The system decodes argument bytes that are not UTF-8 as U+FFFD. */
export function isDamaged(text: string): boolean {
  return text.includes('\ufffd') || !text.isWellFormed()
}

/** Inverse of `escapeBytes`. Throws UsageError for a wrong escape, and for text that is not UTF-8. */
export function unescapeBytes(text: string): Buffer {
  if (isDamaged(text)) throw new UsageError(`${JSON.stringify(text)} has bytes that are not UTF-8: write them as \\xNN, U+FFFD itself as \\xef\\xbf\\xbd`)
  const parts: Buffer[] = []
  let from = 0
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', from)) {
    parts.push(Buffer.from(text.slice(from, at), 'utf8'))
    const code = /^\\x([0-9a-fA-F]{2})/.exec(text.slice(at, at + 4))
    if (code !== null) {
      parts.push(Buffer.from(code[1]!, 'hex'))
      from = at + 4
    } else if (text[at + 1] === '\\') {
      parts.push(Buffer.from('\\'))
      from = at + 2
    } else {
      throw new UsageError(`a backslash must be doubled or begin \\xNN, not ${JSON.stringify(text.slice(at, at + 4))}`)
    }
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'))
  return Buffer.concat(parts)
}

/** Also base64url, with or without padding; undefined if invalid. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  const digits = withoutPadding(text).replaceAll('-', '+').replaceAll('_', '/')
  return withoutPadding(bytes.toString('base64')) === digits ? bytes : undefined
}

/** A pattern would take quadratic time on runs of "=". */
function withoutPadding(text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === '=') end--
  return text.slice(0, end)
}

/** Never cuts inside an escape. A cut text ends in "...". */
export function shorten(escaped: string, width: number): string {
  if (escaped.length * 2 <= width) return escaped
  let columns = 0
  let fits = 0 // end of what still leaves room for the dots
  let end = 0
  for (const [piece] of escaped.matchAll(/\\x[0-9a-f]{2}|\\\\|[^]/gu)) {
    columns += piece.length > 2 || piece === '\\\\' ? piece.length : characterWidth(piece)
    if (columns > width) return escaped.slice(0, fits) + '...'.slice(0, Math.max(0, width))
    end += piece.length
    if (columns <= width - 3) fits = end
  }
  return escaped
}

/** For text without control characters. */
export function textWidth(text: string): number {
  if (SAFE_ASCII.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += characterWidth(character)
  return columns
}

const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u

function characterWidth(character: string): number {
  if (character <= '~') return 1
  if (/\p{M}/u.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\'
  let escaped = ''
  for (const byte of Buffer.from(character, 'utf8')) escaped += hex(byte)
  return escaped
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`
}

/** Bytes of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at]!
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0
  if (length === 0 || at + length > bytes.length) return 0
  return length === 1 || isUtf8(bytes.subarray(at, at + length)) ? length : 0
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}

import { SpillwayError } from '../base/errors.ts'
import { UsageError } from './errors.ts'
import { escapeText } from './escape.ts'

export const EXIT = {
  ok: 0,
  /** Also: damage or key not found. */
  failed: 1,
  usage: 2,
  locked: 3,
  interrupted: 130,
  terminated: 143,
} as const

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage
  if (error instanceof SpillwayError) {
    if (error.code === 'SPILLWAY_LOCKED') return EXIT.locked
    if (error.code === 'SPILLWAY_INVALID_ARGUMENT') return EXIT.usage
  }
  return EXIT.failed
}

/** "message (CODE)". */
export function errorLine(error: unknown): string {
  const { code, message } = errorParts(error)
  const line = escapeText(message.replace(/\s+/g, blanks => blanks.includes('\n') ? ' ' : blanks))
  return code === 'USAGE' ? line : `${line} (${code})`
}

/** For `--json`. */
export function errorObject(error: unknown): { error: { code: string, message: string, details: unknown } } {
  const { code, message, details } = errorParts(error)
  return { error: { code, message, details } }
}

function errorParts(error: unknown): { code: string, message: string, details: unknown } {
  if (!(error instanceof Error)) return { code: 'ERROR', message: String(error), details: {} }
  const { code, details } = error as { code?: unknown, details?: unknown }
  const name = typeof code === 'string' ? code : error.name
  // Node's messages begin with their code.
  const message = error.message.startsWith(`${name}: `) ? error.message.slice(name.length + 2) : error.message
  return { code: name, message, details: details ?? {} }
}

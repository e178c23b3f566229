/**
 * The file `LOCK` in a store's directory: a note, as JSON, of who holds the lock and since when.
 * With a lock held by the kernel it is only that: it may be missing or stale, and decides nothing.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { LockHolder } from '../host.ts'

export const NOTE_NAME = 'LOCK'

export interface LockNote extends LockHolder {
  /** Tells this note from any other. */
  token: string
  /** When the holder's process began, to tell it from a later one with the same pid. */
  processStart: number
}

export function newNote(): LockNote {
  return {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    token: crypto.randomUUID(),
    processStart: processStart(),
  }
}

/** The note, or undefined when there is none that can be understood. */
export function readNote(path: string): LockNote | undefined {
  try {
    const note = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockNote> | null
    if (note === null || typeof note !== 'object') return undefined
    const { pid, host, since, token, processStart } = note
    if (!Number.isSafeInteger(pid) || pid! <= 0 || typeof host !== 'string' || typeof since !== 'string') return undefined
    return {
      pid: pid!, host, since,
      token: typeof token === 'string' ? token : '',
      processStart: typeof processStart === 'number' ? processStart : 0,
    }
  } catch {
    return undefined
  }
}

/** What of the note others are told. */
export function holderOf({ pid, host, since }: LockNote): LockHolder {
  return { pid, host, since }
}

/** Written by this very process, not by an earlier one that had the same pid. */
export function isOwnProcess(note: LockNote): boolean {
  return note.pid === process.pid && note.host === hostname() && Math.abs(note.processStart - processStart()) < 5000
}

/** Whether the note's process may still run. One on another machine cannot be asked: assume so. */
export function mayBeAlive(note: LockNote): boolean {
  if (note.host !== hostname()) return true
  if (note.pid === process.pid) return isOwnProcess(note)
  try {
    process.kill(note.pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The same in every thread of the process. */
function processStart(): number {
  return Math.round(Date.now() - process.uptime() * 1000)
}

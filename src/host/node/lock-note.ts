/**
 * What a claim on a directory says of the process that made it: as JSON, for the next one and for people.
 *
 * All that is compared comes from clocks and names that nobody can set: the boot, the process table, the ticks since the boot.
 */
import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import type { LockHolder } from '../host.ts'
import { bootId } from './limits.ts'
import { processTable, startOf } from './process.ts'

/** Where its holder can be reached as long as it lives. */
export interface Endpoint {
  /** A socket in the directory, by its name there, or a named pipe of Windows. */
  readonly name: string
  /** Of the socket, as the holder sees it: who sees another one looks at it through another file system, and cannot reach it. */
  readonly device: string
  readonly inode: string
}

export interface LockNote extends LockHolder {
  /** Tells this note from any other. */
  readonly token: string
  /** The boot of the machine, '' = unknown. */
  readonly boot: string
  /** The process table that the pid is of, '' = unknown. */
  readonly table: string
  /** When the process began, '' = unknown. */
  readonly start: string
  readonly endpoint: Endpoint | undefined
  /** The claim's file changes at least so often while its holder lives; 0: it does not. */
  readonly beatMs: number
}

export type ProcessState = 'running' | 'ended' | 'unknown'

export function newNote(token: string, endpoint: Endpoint | undefined, beatMs: number): LockNote {
  return {
    pid: process.pid, host: hostname(), since: new Date().toISOString(), token,
    boot: bootId(), table: processTable(), start: ownStart(), endpoint, beatMs,
  }
}

/** The note in a file, or undefined when there is none that can be understood. */
export function readNote(path: string): LockNote | undefined {
  try {
    const note = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockNote> | null
    if (note === null || typeof note !== 'object') return undefined
    const { pid, host, since, token, boot, table, start, endpoint, beatMs } = note
    if (!Number.isSafeInteger(pid) || pid! <= 0) return undefined
    if (![host, since, token, boot, table, start].every(text => typeof text === 'string')) return undefined
    const isReachable = endpoint !== undefined && [endpoint.name, endpoint.device, endpoint.inode].every(text => typeof text === 'string')
    return {
      pid: pid!, host: host!, since: since!, token: token!, boot: boot!, table: table!, start: start!,
      endpoint: isReachable ? endpoint : undefined,
      beatMs: typeof beatMs === 'number' && beatMs > 0 ? beatMs : 0,
    }
  } catch {
    return undefined
  }
}

/** Changes whenever its holder shows that it lives, or another file takes the place of this one. '' = there is none. */
export function signOfLife(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? '' : `${found.ino} ${found.mtimeNs} ${found.size}`
}

/** What of the note others are told. */
export function holderOf({ pid, host, since }: LockHolder): LockHolder {
  return { pid, host, since }
}

/** Whether this very process wrote it, in any of its threads; not an earlier one that had the same pid. */
export function isOwn(note: LockNote): boolean {
  return note.pid === process.pid && note.boot === bootId() && note.table === processTable() && note.host === hostname() && isOwnStart(note.start)
}

/** What the machine's table of processes says of who wrote it. `isLocal`: the directory cannot be another machine's too. */
export function stateOf(note: LockNote, isLocal: boolean): ProcessState {
  const { boot, table, host, pid, start } = note
  const hasBoots = boot !== '' && bootId() !== ''
  // Nothing of an earlier boot runs any more; but it may be another machine's boot.
  if (hasBoots && boot !== bootId()) return isLocal ? 'ended' : 'unknown'
  if (table !== processTable() || (!hasBoots && host !== hostname())) return 'unknown'
  if (pid === process.pid) return isOwnStart(start) ? 'running' : 'ended'
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'ended'
  }
  const found = startOf(pid)
  return found === '0' || start === '' || start.startsWith('~') || found === start ? 'running' : 'ended'
}

/** Ticks since the boot, where the system tells; else seconds of a clock that nobody sets, marked with '~'. */
function ownStart(): string {
  const start = startOf(process.pid)
  return start === '0' ? `~${startSeconds()}` : start
}

function isOwnStart(start: string): boolean {
  return start.startsWith('~') ? Math.abs(Number(start.slice(1)) - startSeconds()) < 2 : start === ownStart()
}

function startSeconds(): number {
  return Number((Number(process.hrtime.bigint()) / 1e9 - process.uptime()).toFixed(1))
}

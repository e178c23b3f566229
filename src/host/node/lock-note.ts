/**
 * The content of a claim, as JSON: the process that made it.
 *
 * Comparisons use only values a user cannot set: boot, process table, ticks since boot.
 */
import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import type { LockHolder } from '../host.ts'
import { bootId } from './limits.ts'
import { processTable, startOf } from './process.ts'

/** How to reach a live holder. */
export interface Endpoint {
  /** Name of the socket in the directory, or of the named pipe. */
  readonly name: string
  /**
   * Of the socket, as the holder sees it. Another device or inode means another file system in between, through which it cannot be
   * reached.
   */
  readonly device: string
  readonly inode: string
}

export interface LockNote extends LockHolder {
  /** Unique. */
  readonly token: string
  /** '' = unknown. */
  readonly boot: string
  /** The process table the pid belongs to; '' = unknown. */
  readonly table: string
  /** When the process began; '' = unknown. */
  readonly start: string
  readonly endpoint: Endpoint | undefined
  /** Maximum interval between changes of the claim's file while its holder lives; 0: it does not change. */
  readonly beatMs: number
}

export type ProcessState = 'running' | 'ended' | 'unknown'

export function newNote(token: string, endpoint: Endpoint | undefined, beatMs: number): LockNote {
  return {
    pid: process.pid, host: hostname(), since: new Date().toISOString(), token,
    boot: bootId(), table: processTable(), start: ownStart(), endpoint, beatMs,
  }
}

/** Undefined: no note, or an unreadable one. */
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

/** Changes with every heartbeat, or when another file replaces it. '' = no file. */
export function signOfLife(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? '' : `${found.ino} ${found.mtimeNs} ${found.size}`
}

/** The part of a note shown to users. */
export function holderOf({ pid, host, since }: LockHolder): LockHolder {
  return { pid, host, since }
}

/** Whether this process wrote it, in any thread; an earlier process with the same pid does not count. */
export function isOwn(note: LockNote): boolean {
  return note.pid === process.pid && note.boot === bootId() && note.table === processTable() && note.host === hostname() && isOwnStart(note.start)
}

/** State of its process by this machine's process table. `isLocal`: the directory is surely not shared with another machine. */
export function stateOf(note: LockNote, isLocal: boolean): ProcessState {
  const { boot, table, host, pid, start } = note
  const hasBoots = boot !== '' && bootId() !== ''
  // No process of an earlier boot still runs; but it may be another machine's boot.
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

/** Ticks since boot, where known; else seconds of a monotonic clock, marked '~'. */
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

/**
 * Recognises the lock of builds before claims: on Linux an abstract socket named after path, device and inode, visible only in its
 * network namespace; elsewhere the file LOCK. In both cases the file LOCK names the holder.
 *
 * Such a build does not see this build's lock, but refuses its manifests.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { LockHolder } from '../host.ts'
import { startOf } from './process.ts'

const NOTE = 'LOCK'
/** Tolerance between a note's start time and the process's: it was computed from a clock that may be set. */
const START_TOLERANCE_MS = 10_000
/** Tick of the process table. */
const TICK_MS = 10

export interface OldHolder {
  readonly holder: LockHolder | undefined
  /** Only its note says so. */
  readonly isDoubtful: boolean
}

/** `root`: where the directory is found. Path, device and inode are those it was opened with. */
export function oldHolder(root: string, directory: string, device: string, inode: string): OldHolder | undefined {
  const path = join(root, NOTE)
  if (!existsSync(path)) return undefined
  const note = readOldNote(path)
  if (note === undefined) return undefined
  const holder = { pid: note.pid, host: note.host, since: note.since }
  if (process.platform === 'linux' && isListening(directory, device, inode)) return { holder, isDoubtful: false }
  if (note.host !== hostname()) return { holder, isDoubtful: true }
  return runs(note) ? { holder, isDoubtful: true } : undefined
}

interface OldNote extends LockHolder { readonly processStart: number }

function readOldNote(path: string): OldNote | undefined {
  try {
    const { pid, host, since, processStart } = JSON.parse(readFileSync(path, 'utf8')) as Partial<OldNote>
    if (!Number.isSafeInteger(pid) || pid! <= 0 || typeof host !== 'string' || typeof since !== 'string') return undefined
    return { pid: pid!, host, since, processStart: typeof processStart === 'number' ? processStart : 0 }
  } catch {
    return undefined
  }
}

/** The kernel lists such names. Some versions of Node pad them with zeros, listed as @. */
function isListening(directory: string, device: string, inode: string): boolean {
  try {
    const digest = createHash('sha256').update(`${realpathSync(directory)}\0${device}\0${inode}`).digest('hex').slice(0, 32)
    return new RegExp(`@spillway-${digest}@*$`, 'm').test(readFileSync('/proc/net/unix', 'latin1'))
  } catch {
    return false
  }
}

function runs({ pid, processStart }: OldNote): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const start = startOf(pid)
  if (start === '0') return true
  const bootMs = Date.now() - Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000
  return Math.abs(bootMs + Number(start) * TICK_MS - processStart) < START_TOLERANCE_MS
}

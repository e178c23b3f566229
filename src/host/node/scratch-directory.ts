/**
 * Directories for files that must not outlive their process.
 *
 * Invariants
 * 1. A directory is removed by its owner, when the process exits, or, after a crash, by the next process that makes one beside it.
 * 2. Only directories of processes that surely ended are removed: the name tells machine, boot and process table, pid, and when
 *    the process began (where the platform says so), so that neither a pid used again nor another container is mistaken for it.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { bootId } from './limits.ts'

export interface ScratchDirectory {
  /** Where it is, once it is made. */
  readonly path: string
  readonly isMade: boolean
  /** Make it, if it is not there yet. */
  make(): void
  /** Remove it with all that is in it. Doing so twice is fine. */
  remove(): void
}

const NAME = /^spillway-scratch-([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]+$/

const live = new Set<string>()
const swept = new Set<string>()
let listens = false

/**
 * A new directory below `parent`, which is made with it if it is not there (default: where the system keeps temporary files).
 * The first call for a parent removes what was left there.
 */
export function scratchDirectory(parent: string = tmpdir()): ScratchDirectory {
  if (!swept.has(parent)) {
    swept.add(parent)
    removeLeftovers(parent)
  }
  const { machine, boot } = place()
  const token = `${isMainThread ? '' : threadId.toString(16)}${randomBytes(6).toString('hex')}`
  const path = join(parent, `spillway-scratch-${machine}-${boot}-${process.pid}-${processStart(process.pid)}-${token}`)
  return {
    path,
    get isMade() { return live.has(path) },
    make() {
      if (live.has(path)) return
      mkdirSync(parent, { recursive: true })
      mkdirSync(path, { mode: 0o700 })
      live.add(path)
      if (listens) return
      listens = true
      // In a worker the same event says that the thread ends.
      process.on('exit', () => { for (const made of live) removeQuietly(made) })
    },
    remove() {
      if (live.delete(path)) removeQuietly(path)
    },
  }
}

/** Remove what processes that ended have left below `parent`; returns how many directories that were. */
export function removeLeftovers(parent: string): number {
  const { machine, boot } = place()
  let removed = 0
  for (const name of namesIn(parent)) {
    const match = NAME.exec(name)
    if (match === null || match[1] !== machine) continue
    // Of another boot nothing runs any more; where the platform names none, all look like this one.
    if (match[2] === boot && isRunning(Number(match[3]), match[4]!)) continue
    removeQuietly(join(parent, name))
    removed++
  }
  return removed
}

function isRunning(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = processStart(pid)
  return start === '0' || now === '0' || now === start
}

/** When a process began, in ticks since the boot; '0' = unknown. */
function processStart(pid: number): string {
  if (process.platform !== 'linux') return '0'
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name, which may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
  } catch {
    return '0'
  }
}

/** Where pids mean what they mean here: the machine and its process table, and the boot. */
function place(): { machine: string, boot: string } {
  let table = ''
  try {
    table = process.platform === 'linux' ? readlinkSync('/proc/self/ns/pid') : ''
  } catch {
    // Without /proc there is one table for all we know.
  }
  return { machine: digest(`${hostname()}\n${table}`), boot: digest(bootId()) }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** What cannot be removed now is when the next process looks: the worker may be writing its last file. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 })
  } catch {
    // See above.
  }
}

/**
 * The name of this process or thread, unique for all time: machine and process table, boot, pid, start time, thread.
 *
 * Invariants
 * 1. A process counts as ended only when that is certain: a reused pid has another start time, and a process in another container
 *    or machine cannot be checked.
 * 2. Exit tasks run once, when the thread ends by itself or `process.exit` is called; one that throws does not stop the others.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import type { Disposer, HostProcess } from '../host.ts'
import { bootId } from './limits.ts'

const NAME = /^([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]+$/

const tasks = new Set<() => void>()
let listens = false
let own: string | undefined

export const nodeProcess: HostProcess = {
  get name(): string {
    const { machine, boot } = place()
    own ??= `${machine}-${boot}-${process.pid}-${startOf(process.pid)}-${threadId.toString(16).padStart(4, '0')}`
    return own
  },

  isRunning(name: string): boolean {
    const match = NAME.exec(name)
    const { machine, boot } = place()
    if (match === null || match[1] !== machine) return true
    // Processes of another boot have ended; without boot ids all look like this one.
    if (match[2] !== boot) return false
    const pid = Number(match[3])
    try {
      process.kill(pid, 0)
    } catch (error) {
      // EPERM: it runs, as another user.
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
    }
    const start = startOf(pid)
    return match[4] === '0' || start === '0' || start === match[4]
  },

  onExit(task: () => void): Disposer {
    tasks.add(task)
    if (!listens) process.on('exit', runTasks)
    listens = true
    return () => { tasks.delete(task) }
  },
}

function runTasks(): void {
  for (const task of tasks) {
    try {
      task()
    } catch {
      // Leftovers are removed by the next process.
    }
  }
  tasks.clear()
}

/** Start of a process in ticks since boot; '0' = unknown. */
export function startOf(pid: number): string {
  if (process.platform !== 'linux') return '0'
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field, the program's name, may contain anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
  } catch {
    return '0'
  }
}

/** The scope of pids: machine, process table, and boot. */
function place(): { machine: string; boot: string } {
  return { machine: digest(`${hostname()}\n${processTable()}`), boot: digest(bootId()) }
}

/** Distinguishes process tables of one machine: containers have their own. '' = unknown. */
export function processTable(): string {
  try {
    return process.platform === 'linux' ? readlinkSync('/proc/self/ns/pid') : ''
  } catch {
    return ''
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

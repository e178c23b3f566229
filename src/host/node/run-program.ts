/**
 * Runs a program in a process of its own and watches its memory.
 *
 * The peak is the kernel's own (VmHWM), read every 20 ms: what the program takes within its last 20 ms may be missed. Without /proc no
 * memory is known. Cost: 30 us a reading, in this process.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mallocOf } from './allocator.ts'
import type { MallocInUse } from '../runtime.ts'

const INTERVAL_MS = 20

export interface ProgramMemory {
  /** Bytes at the first reading and at the last. */
  firstRssBytes: number
  lastRssBytes: number
  peakRssBytes: number
}

export interface ProgramEnd {
  /** 128 and the signal's number if a signal ended it. */
  exitCode: number
  elapsedMs: number
  /** Undefined: this system does not tell. */
  memory: ProgramMemory | undefined
}

/** `node` with these arguments, its streams those of this process. `signal`: passes SIGTERM on when it aborts. */
export function runProgram(args: readonly string[], environment: Record<string, string>, signal?: AbortSignal): Promise<ProgramEnd> {
  const startMs = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...environment } })
  let memory: ProgramMemory | undefined
  const look = (): void => {
    const figures = memoryIn(readStatus(child.pid))
    if (figures === undefined) return
    memory = { firstRssBytes: memory?.firstRssBytes ?? figures.rssBytes, lastRssBytes: figures.rssBytes, peakRssBytes: Math.max(memory?.peakRssBytes ?? 0, figures.peakBytes) }
  }
  const timer = setInterval(look, INTERVAL_MS)
  // Ctrl-C in a terminal reaches the child by itself.
  const stop = (): void => { child.kill('SIGTERM') }
  signal?.addEventListener('abort', stop)
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearInterval(timer)
      signal?.removeEventListener('abort', stop)
    }
    child.on('error', error => {
      end()
      reject(error)
    })
    child.on('exit', (code, by) => {
      end()
      resolve({ exitCode: code ?? 128 + signalNumber(by), elapsedMs: performance.now() - startMs, memory })
    })
  })
}

/** The malloc that a Node process has in this environment: its own answer, from a process that only gives it. */
export function mallocOfChild(environment: Record<string, string>): MallocInUse {
  const { stdout } = spawnSync(process.execPath, ['-e', "process.stdout.write(require('fs').readFileSync('/proc/self/maps', 'utf8'))"], {
    encoding: 'utf8', env: { ...process.env, ...environment }, maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'],
  })
  return mallocOf(stdout === '' || stdout === null ? undefined : stdout)
}

/** @internal */
export function memoryIn(status: string | undefined): { rssBytes: number, peakBytes: number } | undefined {
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(status ?? '')
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status ?? '')
  return rss === null || peak === null ? undefined : { rssBytes: Number(rss[1]) * 1024, peakBytes: Number(peak[1]) * 1024 }
}

function readStatus(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return undefined
  }
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : SIGNALS[signal] ?? 0
}

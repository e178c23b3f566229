/**
 * Memory pressure of the machine and of this process's control groups.
 *
 * Linux: memory not available (/proc/meminfo), the fullest limited cgroup of this process (version 2 and 1), and the time lost
 * waiting for memory (pressure stall information) of the machine and of the group. macOS: `vm_stat`. Others: `os.freemem`.
 *
 * Invariants
 * 1. The world is looked at once a second at most; in between the last reading is given again.
 * 2. Nothing blocks but reads of /proc and /sys. `vm_stat` runs beside: until it has answered for the first time the pressure is
 *    unknown, later its last answer counts. It does not hold the process.
 *
 * Cost of a look: 4 to 10 reads of 10 to 30 us each.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { freemem, totalmem } from 'node:os'
import { combinePressure } from '../pressure.ts'
import type { PressurePart, PressureProbe, PressureReading } from '../pressure.ts'
import { findCgroupFiles, readCgroups } from './cgroup-memory.ts'
import type { CgroupFiles } from './cgroup-memory.ts'
import type { ReadText } from './limits.ts'
import { meminfoPressure, shareUsed, stallPressure, vmStatPressure } from './memory-texts.ts'

/** What a probe looks at. */
export interface PressureSources {
  /** `process.platform`. */
  platform: string
  /** A file's text, undefined when it cannot be read. */
  read: ReadText
  /** Monotonic milliseconds. */
  nowMs(): number
  freeBytes(): number
  totalBytes(): number
  /** Start `vm_stat`; `done` is called once, later, with what it said, undefined when it failed. */
  vmStat(done: (text: string | undefined) => void): void
}

const MIN_INTERVAL_MS = 1000
/** Starting a program costs more than reading a file. */
const VM_STAT_INTERVAL_MS = 5000

export class NodePressure implements PressureProbe {
  readonly #sources: PressureSources
  #reading: PressureReading | undefined
  #readMs = 0
  #cgroups: CgroupFiles | undefined
  #vmStat: 'unknown' | 'failed' | number = 'unknown'
  #vmStatMs = -Infinity
  #vmStatRuns = false

  constructor(sources: PressureSources = nodeSources) {
    this.#sources = sources
  }

  read(): PressureReading {
    const nowMs = this.#sources.nowMs()
    if (this.#reading === undefined || nowMs - this.#readMs >= MIN_INTERVAL_MS) {
      this.#readMs = nowMs
      this.#reading = combinePressure(this.#look(nowMs))
    }
    return this.#reading
  }

  #look(nowMs: number): PressurePart[] {
    const { platform } = this.#sources
    if (platform === 'linux') return this.#lookLinux()
    if (platform === 'darwin') return [{ name: 'machine', value: this.#lookDarwin(nowMs) }]
    return [{ name: 'machine', value: this.#freeShare() }]
  }

  #lookLinux(): PressurePart[] {
    const { read } = this.#sources
    const parts: PressurePart[] = [
      { name: 'machine', value: meminfoPressure(read('/proc/meminfo')) },
      { name: 'machine stalls', value: stallPressure(read('/proc/pressure/memory')) },
    ]
    const files = this.#cgroups ??= findCgroupFiles(read)
    if (files === undefined) {
      parts.push({ name: 'cgroup', value: undefined })
      return parts
    }
    const { limited, value, isComplete } = readCgroups(files, read)
    if (limited) parts.push({ name: 'cgroup', value })
    let stalls: string | undefined
    if (files.stalls !== undefined) {
      stalls = read(files.stalls)
      parts.push({ name: 'cgroup stalls', value: stallPressure(stalls) })
    }
    if (!isComplete || (files.stalls !== undefined && stalls === undefined)) this.#cgroups = undefined
    return parts
  }

  #lookDarwin(nowMs: number): number | undefined {
    const { vmStat, totalBytes } = this.#sources
    if (!this.#vmStatRuns && nowMs - this.#vmStatMs >= VM_STAT_INTERVAL_MS) {
      this.#vmStatRuns = true
      this.#vmStatMs = nowMs
      vmStat(text => {
        this.#vmStatRuns = false
        this.#vmStat = vmStatPressure(text, totalBytes()) ?? 'failed'
      })
    }
    // Free memory leaves out what is cached, so it says too little; better than nothing.
    if (this.#vmStat === 'failed') return this.#freeShare()
    return this.#vmStat === 'unknown' ? undefined : this.#vmStat
  }

  #freeShare(): number | undefined {
    return shareUsed(this.#sources.freeBytes(), this.#sources.totalBytes())
  }
}

const nodeSources: PressureSources = {
  platform: process.platform,
  read(path) {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  nowMs: () => performance.now(),
  freeBytes: freemem,
  totalBytes: totalmem,
  vmStat(done) {
    try {
      const child = execFile('/usr/bin/vm_stat', { timeout: 2000 }, (error, stdout) => done(error ? undefined : stdout))
      child.unref()
      for (const stream of [child.stdout, child.stderr]) (stream as Socket | null)?.unref()
    } catch {
      queueMicrotask(() => done(undefined))
    }
  },
}

/** One for the process: however many stores ask, the machine is looked at once a second. */
export const nodePressure: PressureProbe = new NodePressure()

/**
 * Memory pressure of the machine and of this process's control groups.
 *
 * Linux: unavailable memory (/proc/meminfo), the fullest limited cgroup, and pressure stall information of the machine and the
 * group. macOS: `vm_stat`. Others: `os.freemem`.
 *
 * Invariants
 * 1. A reading is made once a second at most.
 * 2. Only reads of /proc and /sys block. `vm_stat` runs in the background: pressure is unknown until its first answer. It does not
 *    hold the process open.
 *
 * Cost of a reading: 4 to 10 file reads of 10 to 30 us.
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

/** Sources of a probe. */
export interface PressureSources {
  /** `process.platform`. */
  platform: string
  /** Undefined for unreadable files. */
  read: ReadText
  nowMs(): number
  freeBytes(): number
  totalBytes(): number
  /** Start `vm_stat`; `done` is called once, later, with its output; undefined: it failed. */
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
    // Free memory excludes caches, so it overstates the pressure.
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

/** Shared by all stores of the process. */
export const nodePressure: PressureProbe = new NodePressure()

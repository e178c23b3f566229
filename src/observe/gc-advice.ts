/** What the figures of the garbage collector mean: a score, bottlenecks, and what would help. */
import { formatSize } from '../base/sizes.ts'
import type { ProcessMemory } from '../host/runtime.ts'
import { severityOf } from './advice.ts'
import type { Bottleneck, Opportunity, Severity } from './advice.ts'
import type { WindowFigures } from './gc-window.ts'

/** What is judged. */
export interface GcState {
  window: WindowFigures
  memory: ProcessMemory
  /** Memory really used for the young generation. */
  youngBytes: number
  /** From here on it is large. */
  youngLimitBytes: number
  /** Maximum of a semi-space, in MiB. */
  semiSpaceMb: number
  isYoungHeld: boolean
}

/** Targets: 95 % of pauses below 50 ms, and less than 5 % of the time. */
const PAUSE_MS = 50
const TIME_SHARE = 0.05
const FULL_SHARE = 0.75
const MIB = 1024 * 1024
/** Semi-spaces beyond this cost memory without saving time. */
const MAX_SEMI_SPACE_MB = 128

/** Time in pauses, of the time observed. */
export function pauseShare({ all, windowMs }: WindowFigures): number {
  return windowMs === 0 ? 0 : Math.min(1, all.totalMs / windowMs)
}

/**
 * From 0 to 100: 100, less 40 for a tenth of the time in pauses, 40 for a p95 of 100 ms, 20 for a full heap (from 75 % on), each in
 * proportion. At the targets (5 %, 50 ms) it is 60.
 */
export function gcScore({ window, memory }: Pick<GcState, 'window' | 'memory'>): number {
  const time = Math.min(1, pauseShare(window) / (2 * TIME_SHARE))
  const pause = Math.min(1, window.all.p95Ms / (2 * PAUSE_MS))
  const full = Math.min(1, Math.max(0, heapShare(memory) - FULL_SHARE) / (1 - FULL_SHARE))
  return Math.round(100 - 40 * time - 40 * pause - 20 * full)
}

export function gcBottlenecks(state: GcState): Bottleneck[] {
  const { window, memory, youngBytes } = state
  const share = pauseShare(window)
  const found: Bottleneck[] = []
  const add = (name: string, severity: Severity | undefined, what: string): void => {
    if (severity !== undefined) found.push({ name, severity, what })
  }
  add('long pauses', severityOf(window.all.p95Ms, PAUSE_MS, 2 * PAUSE_MS), `95 % of pauses are within ${ms(window.all.p95Ms)}, the longest took ${ms(window.all.maxMs)}`)
  add('time in collections', severityOf(share, TIME_SHARE, 2 * TIME_SHARE), `${percent(share)} of the time was spent in pauses`)
  add('full collections', severityOf(window.old.perMinute, 30, 60), `${window.old.perMinute.toFixed(0)} full collections a minute, ${ms(window.old.meanMs)} each`)
  add('forced collections', window.forced === 0 ? undefined : window.forced > 10 ? 'medium' : 'low', `${window.forced} collections were asked for by the program or were a last resort`)
  add('external memory', severityOf(window.external, 6, 60), `${window.external} collections were caused by memory outside the heap, such as Buffers`)
  add('full heap', severityOf(heapShare(memory), FULL_SHARE, 0.9), `the heap holds ${formatSize(memory.heapUsedBytes)} of ${formatSize(memory.heapLimitBytes)}`)
  add('large young generation', youngBytes > state.youngLimitBytes ? 'low' : undefined, `the young generation takes ${formatSize(youngBytes)} of memory`)
  return found
}

export function gcOpportunities(state: GcState): Opportunity[] {
  const { window, memory, youngBytes, semiSpaceMb } = state
  const found: Opportunity[] = []
  const youngShare = window.windowMs === 0 ? 0 : window.young.totalMs / window.windowMs
  if (youngShare >= TIME_SHARE && state.isYoungHeld) {
    found.push({
      name: 'let the young generation grow', severity: 'medium', why: `it is held small, and young collections took ${percent(youngShare)} of the time`,
      benefit: 'fewer young collections', risk: `up to ${formatSize(2 * semiSpaceMb * MIB)} of memory`, action: { type: 'code', how: 'do not call apply(\'young-generation\')' },
    })
  } else if (youngShare >= TIME_SHARE && semiSpaceMb < MAX_SEMI_SPACE_MB) {
    found.push({
      name: 'larger young generation', severity: 'medium', why: `young collections took ${percent(youngShare)} of the time, ${window.young.perMinute.toFixed(0)} a minute`,
      benefit: 'about half as many young collections, and fewer objects that are promoted too early',
      risk: `up to ${formatSize(2 * semiSpaceMb * MIB)} more memory`,
      action: { type: 'flag', how: `--max-semi-space-size=${2 * semiSpaceMb}` },
    })
  } else if (youngBytes > state.youngLimitBytes || state.isYoungHeld) {
    found.push({
      name: 'smaller young generation', severity: 'low', why: `the young generation takes ${formatSize(youngBytes)} of memory`,
      benefit: 'it stays between 2 and 5 MiB', risk: 'more and shorter young collections, in the whole process; measured: no difference in writes a second',
      action: state.isYoungHeld
        ? { type: 'applied', how: '--semi-space-growth-factor=1 was set for this process' } : { type: 'call', how: "monitor.apply('young-generation')" },
    })
  }
  const full = severityOf(heapShare(memory), FULL_SHARE, 0.9)
  if (full !== undefined) {
    found.push({
      name: 'larger heap', severity: full, why: `the heap holds ${formatSize(memory.heapUsedBytes)} of ${formatSize(memory.heapLimitBytes)}`,
      benefit: 'fewer full collections, and no end of the process for lack of heap', risk: 'longer full collections; the machine needs the memory',
      action: { type: 'flag', how: `--max-old-space-size=${Math.ceil(memory.heapLimitBytes * 1.5 / MIB)}` },
    }, offHeap(full, 'the objects of a full heap are looked at in every full collection'))
  } else if (window.old.p95Ms >= PAUSE_MS) {
    found.push(offHeap(window.old.p95Ms >= 2 * PAUSE_MS ? 'high' : 'medium', `95 % of full collections are within ${ms(window.old.p95Ms)}; they grow with the objects on the heap`))
  }
  if (window.forced > 0) {
    found.push({
      name: 'no forced collections', severity: 'low', why: `${window.forced} collections were asked for or were a last resort`,
      benefit: 'their time', risk: 'memory comes back later', action: { type: 'code', how: 'remove calls of gc(), or make them rarer' },
    })
  }
  if (window.external >= 6) {
    found.push({
      name: 'reuse Buffers', severity: 'medium', why: `${window.external} collections were caused by memory outside the heap`,
      benefit: 'no full collection for Buffers that die young', risk: 'a block has to be given back',
      action: { type: 'code', how: 'take Buffers from a pool (SlabPool, BuddyPool), or read smaller pieces' },
    })
  }
  return found
}

function offHeap(severity: Severity, why: string): Opportunity {
  return {
    name: 'data off the heap', severity, why, benefit: 'full collections no longer look at it, and it stays inside a budget',
    risk: 'an access decodes bytes', action: { type: 'code', how: 'keep large Maps in a SpillMap, large lists in a SpillQueue, cached values as bytes' },
  }
}

function heapShare({ heapUsedBytes, heapLimitBytes }: ProcessMemory): number {
  return heapLimitBytes === 0 ? 0 : heapUsedBytes / heapLimitBytes
}

function ms(value: number): string { return `${value.toFixed(1)} ms` }
function percent(share: number): string { return `${(100 * share).toFixed(1)} %` }

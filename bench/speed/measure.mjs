// Makes a result line of a run: its rate and latencies, and what the process took meanwhile.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { cpuSeconds, diskBytes, peakRssBytes, resetPeakRss, rest, writtenBytes } from './process-stats.mjs'

const LOOP_RESOLUTION_MS = 5
const REST_LIMIT_MS = 30_000

/**
 * `run()`: { count, seconds, histogram?, note?, ...more }, or a promise of it.
 * `waits`: 'not' (default): what is written is read when the run ends; 'after': when the store has come to rest, which is not timed;
 * 'timed': the same, and it is.
 */
export async function measure(workload, { directory, valueBytes, waits = 'not' }, run) {
  globalThis.gc?.()
  resetPeakRss()
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loopDelay.enable()
  // Its first tick only begins the measurement.
  await setTimeout(2 * LOOP_RESOLUTION_MS)
  const writtenBefore = writtenBytes()
  const cpuBefore = cpuSeconds()
  const started = performance.now()
  const { count, seconds: ownSeconds, histogram, note, ...more } = await run()
  let seconds = ownSeconds
  const notes = note === undefined ? [] : [note]
  // A loop that was never let run has its delay noted when it next runs.
  await setTimeout(2 * LOOP_RESOLUTION_MS)
  loopDelay.disable()
  if (waits !== 'not') {
    const restedAt = await rest(REST_LIMIT_MS)
    if (restedAt === undefined) notes.push(`not at rest after another ${REST_LIMIT_MS / 1000} s`)
    if (waits === 'timed') seconds = Math.max(seconds, ((restedAt ?? performance.now()) - started) / 1000)
  }
  const writtenAfter = writtenBytes()
  return {
    workload, valueBytes, count,
    seconds: round(seconds, 4),
    perSecond: count === undefined ? undefined : Math.round(count / seconds),
    ...(histogram === undefined ? {} : {
      p50us: round(histogram.quantileUs(0.5), 2), p99us: round(histogram.quantileUs(0.99), 2),
      p999us: round(histogram.quantileUs(0.999), 2), maxMs: round(histogram.maxMs, 3),
    }),
    loopDelayMaxMs: round(Math.max(0, loopDelay.max / 1e6 - LOOP_RESOLUTION_MS), 1),
    cpuSeconds: round(cpuSeconds() - cpuBefore, 3),
    writtenBytes: writtenAfter === undefined ? undefined : writtenAfter - writtenBefore,
    diskBytes: diskBytes(directory),
    peakRssBytes: peakRssBytes(),
    ...more,
    note: notes.length === 0 ? undefined : notes.join('; '),
  }
}

function round(value, digits) {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

// The timed loops. One clock reading per awaited operation: the end of one is the beginning of the next, so that a latency holds the
// filling of a slot of the pool too.
import { Histogram } from './histogram.mjs'

const SYNC_SAMPLE_MASK = 15

/**
 * `perform(n)`: operation n, awaited by `workers` loops at once, until `count` are done or the time is over.
 * `rowsEach`: rows of one operation, which is what is counted.
 */
export async function runAwaited({ workers = 1, count, limitSeconds, perform, rowsEach = 1 }) {
  const histogram = new Histogram()
  const operations = Math.ceil(count / rowsEach)
  let next = 0
  let done = 0
  const started = performance.now()
  const deadline = started + limitSeconds * 1000
  const worker = async () => {
    for (let before = performance.now(); next < operations && before < deadline;) {
      const written = perform(next++)
      // A store that is done at once has nothing to wait for.
      if (written !== undefined) await written
      const after = performance.now()
      histogram.record(after - before)
      before = after
      done++
    }
  }
  await Promise.all(Array.from({ length: workers }, worker))
  const ended = performance.now()
  const rows = Math.min(done * rowsEach, count)
  return { count: rows, seconds: (ended - started) / 1000, histogram, ...stopped(rows, count, limitSeconds) }
}

/** Without promises; the latency of every 16th is taken. */
export function runSync({ count, limitSeconds, perform }) {
  const histogram = new Histogram()
  const started = performance.now()
  const deadline = started + limitSeconds * 1000
  let n = 0
  while (n < count) {
    if ((n & SYNC_SAMPLE_MASK) !== 0) {
      perform(n++)
      continue
    }
    const before = performance.now()
    if (before > deadline) break
    perform(n++)
    histogram.record(performance.now() - before)
  }
  return { count: n, seconds: (performance.now() - started) / 1000, histogram, ...stopped(n, count, limitSeconds) }
}

function stopped(done, count, limitSeconds) {
  if (done >= count || count === Infinity) return {}
  return { note: `stopped after ${limitSeconds} s at ${done} of ${count}` }
}

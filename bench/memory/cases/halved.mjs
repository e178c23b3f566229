// Half the load of `mixed`, and in its middle the budget is halved: how soon is the store inside it, and does a call fail?
import * as mixed from './mixed.mjs'

const SETTLED_MS = 2000
/** A batch must fit a memtable, also one of the half. */
const BATCH_SHARE = 1 / 16
const ROW_BYTES = 1040

export const peers = false

export function volume(setting) {
  return { rows: Math.ceil(mixed.volume(setting).rows / 2) }
}

export async function run(context) {
  const { budgetBytes, watch, holdsNothing } = context
  const targetBytes = Math.floor(budgetBytes / 2)
  let halvedAt = 0
  let settledMs
  let forgotten = false
  const look = ({ budgetBytes: bound, usedBytes }) => {
    const elapsedMs = performance.now() - halvedAt
    if (settledMs === undefined && bound <= targetBytes && usedBytes <= targetBytes) settledMs = elapsedMs
    if (!forgotten && elapsedMs > SETTLED_MS) {
      forgotten = true
      watch.forget()
    }
  }
  let poll
  const result = await mixed.run({
    ...context,
    batchRows: Math.min(1000, Math.floor(targetBytes * BATCH_SHARE / ROW_BYTES)),
    onHalf(db) {
      halvedAt = performance.now()
      db.setBudget(targetBytes)
      if (holdsNothing) return
      watch.onReport = look
      poll = setInterval(() => watch.sample(), 2)
    },
    // A load too short for the time it has does not decide.
    async beforeEnd() {
      while (!holdsNothing && !forgotten) await new Promise(resolve => setTimeout(resolve, 10))
    },
  }).finally(() => clearInterval(poll))
  if (holdsNothing) return result
  const broken = []
  if (settledMs === undefined) broken.push('the budget never came down to its half')
  else if (settledMs > SETTLED_MS) broken.push(`${Math.round(settledMs)} ms to come down to half of the budget; the bar is ${SETTLED_MS}`)
  return {
    ...result, settledMs: settledMs === undefined ? undefined : Math.round(settledMs),
    rssAfterBytes: process.memoryUsage.rss(), rssPeakAfterBytes: watch.laterPeakRss, broken,
  }
}

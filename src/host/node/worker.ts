/**
 * Runs in the worker thread: steps jobs, the most urgent first.
 *
 * Invariants
 * 1. Nothing here needs a turn of the main thread's event loop.
 * 2. New requests are taken in between two steps, so an urgent job waits for one step, not for one job.
 * 3. Without jobs the thread sleeps in its own event loop.
 * 4. Syncs go on asynchronously while there are other jobs, for a while. A thread without other work syncs by itself, so nothing
 *    here depends on the thread pool, which the program may keep busy.
 */
import { port, wakeMain, words } from './worker-start.ts'
import { receiveMessageOnPort } from 'node:worker_threads'
import { plainError } from '../../base/errors.ts'
import type { JobModule } from '../host.ts'
import { JobList } from '../job-list.ts'
import { nodeClock } from './clock.ts'
import { collectGarbage } from './garbage.ts'
import { NodeFiles } from './files.ts'
import { beginSync, lateSyncError } from './sync-wait.ts'
import { HEARTBEAT, WORK } from './worker-protocol.ts'
import type { RequestMessage, ResultMessage } from './worker-protocol.ts'

/** While a job waits, other jobs make this many steps between turns of the event loop. */
const TURN_STEPS = 4
/** After this long a wait is ended by force. */
const MAX_WAIT_MS = 25

/** Steps continue after a turn of the event loop. */
let isScheduled = false
/** Since when some job waits; 0: none does. */
let waitingSinceMs = 0

/** Serve those jobs in this thread. */
export function serveJobs(module: JobModule): void {
  const list: JobList = new JobList(module, {
    files: new NodeFiles(), clock: nodeClock, lateSyncError,
    beginSync: file => list.size > 1 ? beginSync(file) : undefined,
  }, report)
  Atomics.add(words, HEARTBEAT, 1)
  // Earlier requests have waited in the port.
  port.on('message', ({ id, request }: RequestMessage) => {
    if (request === undefined) {
      collectGarbage()
    } else {
      list.add(id, request)
      if (!isScheduled) work(list)
    }
  })
}

function work(list: JobList): void {
  let taken = Atomics.load(words, WORK) - 1
  let steps = 0
  while (list.size > 0) {
    const posted = Atomics.load(words, WORK)
    if (posted !== taken) {
      taken = posted
      takeRequests(list)
    }
    if (!list.step()) list.endWait()
    Atomics.add(words, HEARTBEAT, 1)
    if (!list.isWaiting) {
      steps = 0
      waitingSinceMs = 0
    } else if (++steps === TURN_STEPS) {
      const nowMs = nodeClock.nowMs()
      if (waitingSinceMs === 0) {
        waitingSinceMs = nowMs
      } else if (nowMs - waitingSinceMs > MAX_WAIT_MS) {
        waitingSinceMs = 0
        list.endWait()
      }
      isScheduled = true
      setImmediate(() => {
        isScheduled = false
        work(list)
      })
      return
    }
  }
}

function takeRequests(list: JobList): void {
  let collects = false
  for (let envelope = receiveMessageOnPort(port); envelope !== undefined; envelope = receiveMessageOnPort(port)) {
    const { id, request } = envelope.message as RequestMessage
    if (request === undefined) collects = true
    else list.add(id, request)
  }
  // Several requests, one collection.
  if (collects) collectGarbage()
}

function report(id: number, error: Error | undefined, result: unknown): void {
  const message: ResultMessage = { id, error: error === undefined ? undefined : plainError(error), result }
  try {
    port.postMessage(message)
  } catch (thrown) {
    // The result, or the error's details, cannot be cloned.
    const { name, message } = plainError(error ?? thrown)
    port.postMessage({ id, error: { name, message }, result: undefined } satisfies ResultMessage)
  }
  wakeMain()
}

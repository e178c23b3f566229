/**
 * A message port for requests and results, and a few words of shared memory, between main thread and worker.
 *
 * A result is posted before it is counted in DONE and notified, so a thread that read an old count, found the port empty and waits
 * for a change cannot miss it. Requests go the same way through WORK.
 */
import type { MessagePort } from 'node:worker_threads'
import type { PlainError } from '../../base/errors.ts'
import type { JobRequest } from '../host.ts'

/** Results posted, plus one when the worker ends by itself. The main thread waits on this word. */
export const DONE = 0
/** Requests posted; the worker looks at its port between two steps only when this has changed. */
export const WORK = 1
/** Incremented at every step. 0 = the worker is still starting. */
export const HEARTBEAT = 2
/** 1 = the worker has ended by itself (`process.exit`, an uncaught error). */
export const ENDED = 3
/** The worker's kernel thread id; 0 = unknown (not Linux). */
export const KERNEL_THREAD = 4
export const WORDS = 5

export interface WorkerData {
  port: MessagePort
  words: Int32Array
}

/** Without a request: collect garbage. */
export interface RequestMessage {
  id: number
  request: JobRequest | undefined
}

export interface ResultMessage {
  id: number
  error: PlainError | undefined
  result: unknown
}

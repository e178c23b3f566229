/**
 * What the main thread and the worker share: a message port for requests and results, and a few words of shared memory.
 *
 * A result is posted first and counted in DONE after that, with a notify: a thread that saw an old count, found the port empty
 * and then waits for the count to change cannot miss it. Requests go the same way: posted, then counted in WORK.
 */
import type { MessagePort } from 'node:worker_threads'
import type { PlainError } from '../../base/errors.ts'
import type { JobRequest } from '../host.ts'

/** Results posted (and once more when the worker ends by itself); the main thread waits on this word. */
export const DONE = 0
/** Requests posted; the worker looks at its port between two steps only when this changed. */
export const WORK = 1
/** Bumped at every step. 0 = the worker is still starting. */
export const HEARTBEAT = 2
/** 1 = the worker has ended by itself (`process.exit`, an uncaught error). */
export const ENDED = 3
/** The kernel's id of the worker thread, 0 = unknown (not Linux). */
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

/**
 * One worker thread, from its start to its death.
 *
 * Invariants
 * 1. Results reach the main thread without its event loop: `receive` takes them from the port, `park` waits on a word of shared
 *    memory.
 * 2. `done` is called once per job: with its result, or the error the thread died of.
 * 3. The thread holds the process open only while it has jobs.
 *
 * A parked main thread, which sees no events, notices a death like this: the worker announces its own end; on Linux a vanished
 * thread (out of memory) is gone from /proc/self/task; a worker that makes no step for `silenceMs` is given up. Waiting is counted
 * in slices, so that a suspended process does not blame its worker.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { MessageChannel, Worker, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { SpillwayError, reviveError } from '../../base/errors.ts'
import type { JobRequest } from '../host.ts'
import { isOutOfDescriptors } from '../file-error.ts'
import { argumentsError, failAll } from '../job-errors.ts'
import type { Done } from '../job-errors.ts'
import { DONE, ENDED, HEARTBEAT, KERNEL_THREAD, WORDS, WORK } from './worker-protocol.ts'
import type { RequestMessage, ResultMessage, WorkerData } from './worker-protocol.ts'

/**
 * Smallest heap limits with which Node starts in a worker: 4 MiB of old space are too few on 22 and 24. The limit is never below
 * their sum, whatever `heapBytes` is: lease at least as much.
 */
const MIN_OLD_SPACE_MIB = 8
const YOUNG_SPACE_MIB = 2

/** An event loop takes five, in newer versions of Node a few more. */
const THREAD_DESCRIPTORS = 8

const SLICE_MS = 250
/** Maximum time in one system call (a stalled disk) while the thread is seen alive. */
const SILENCE_SEEN_ALIVE_MS = 60_000
const SILENCE_MS = 10_000

export interface WorkerThreadOptions {
  /** Its code, or its file. */
  worker: (() => string) | URL
  heapBytes: number
  /** Maximum time without a step; for tests. */
  silenceMs?: number
}

export class WorkerThread {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * WORDS))
  readonly #waiting = new Map<number, Done>()
  readonly #silenceMs: number | undefined
  #nextId = 1
  /** DONE before the last look at the port. */
  #doneSeen = 0
  #heartbeatSeen = 0
  #silentMs = 0
  #dead = false
  #cause: Error | undefined
  /** Set when the thread is stopped on purpose: the error of its jobs. */
  #stopError: Error | undefined

  constructor(options: WorkerThreadOptions) {
    const { worker } = options
    this.#silenceMs = options.silenceMs
    // The worker would report it to the event loop only.
    if (worker instanceof URL && !existsSync(worker)) throw new Error(`there is no file ${worker.href}`)
    checkDescriptors()
    const channel = new MessageChannel()
    this.#port = channel.port1
    const workerData: WorkerData = { port: channel.port2, words: this.#words }
    this.#worker = new Worker(worker instanceof URL ? worker : worker(), {
      name: 'spillway',
      eval: !(worker instanceof URL),
      workerData,
      transferList: [channel.port2],
      // The program's flags (loaders, inspectors, preloads) are not for this thread.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      resourceLimits: {
        maxOldGenerationSizeMb: Math.max(Math.floor(options.heapBytes / 2 ** 20) - YOUNG_SPACE_MIB, MIN_OLD_SPACE_MIB),
        maxYoungGenerationSizeMb: YOUNG_SPACE_MIB,
      },
    })
    this.#worker.on('error', error => { this.#cause = error })
    this.#worker.on('exit', code => { this.#die(`it exited with code ${code}`) })
    this.#port.on('message', (message: ResultMessage) => { this.#deliver(message) })
    this.#port.on('messageerror', error => {
      this.#cause = error
      this.#abandon('a result could not be read')
    })
    this.#port.unref()
    this.#worker.unref()
  }

  get dead(): boolean { return this.#dead }

  /** Jobs not yet delivered. */
  get pending(): number { return this.#waiting.size }

  submit(request: JobRequest, done: Done): void {
    const id = this.#nextId++
    try {
      this.#port.postMessage({ id, request } satisfies RequestMessage)
    } catch (cause) {
      throw argumentsError(request, cause)
    }
    Atomics.add(this.#words, WORK, 1)
    this.#waiting.set(id, done)
    if (this.#waiting.size === 1) {
      this.#silentMs = 0
      this.#worker.ref()
    }
  }

  collectGarbage(): void {
    if (this.#dead) return
    this.#port.postMessage({ id: 0, request: undefined } satisfies RequestMessage)
    Atomics.add(this.#words, WORK, 1)
  }

  /** Deliver one finished job, if any. */
  receive(): boolean {
    this.#doneSeen = Atomics.load(this.#words, DONE)
    const envelope = receiveMessageOnPort(this.#port)
    if (envelope === undefined) return false
    this.#deliver(envelope.message as ResultMessage)
    return true
  }

  /** Wait a while for a result, then call `receive`. A thread found dead fails its jobs here. */
  park(): void {
    if (this.#stopError !== undefined) {
      this.#die('it was stopped')
      return
    }
    // Checked before the last results are fetched, so that none is missed.
    if (Atomics.load(this.#words, ENDED) === 1 || this.#vanished()) {
      while (this.receive()) { /* what it finished before it died */ }
      this.#die('its thread ended')
      return
    }
    if (Atomics.wait(this.#words, DONE, this.#doneSeen, SLICE_MS) !== 'timed-out') return
    const heartbeat = Atomics.load(this.#words, HEARTBEAT)
    if (heartbeat !== this.#heartbeatSeen) {
      this.#heartbeatSeen = heartbeat
      this.#silentMs = 0
      return
    }
    this.#silentMs += SLICE_MS
    if (this.#silentMs >= this.#silenceLimitMs()) this.#abandon(`it made no step for ${this.#silentMs / 1000} s`)
  }

  /** Stop the thread at once; resolves when it has ended. Unfinished jobs fail with `error`. */
  async stop(error: Error): Promise<void> {
    this.#stopError ??= error
    await this.#worker.terminate()
    this.#die('it was stopped')
  }

  #deliver(message: ResultMessage): void {
    const done = this.#waiting.get(message.id)
    // The job has failed already with its thread.
    if (done === undefined) return
    this.#settle(message.id)
    done(message.error === undefined ? undefined : reviveError(message.error), message.result)
  }

  #settle(id: number): void {
    this.#waiting.delete(id)
    if (this.#waiting.size === 0 && this.#stopError === undefined) this.#worker.unref()
  }

  #vanished(): boolean {
    const id = Atomics.load(this.#words, KERNEL_THREAD)
    return id !== 0 && seesThreads() && !existsSync(`/proc/self/task/${id}`)
  }

  #silenceLimitMs(): number {
    if (this.#silenceMs !== undefined) return this.#silenceMs
    return Atomics.load(this.#words, KERNEL_THREAD) === 0 ? SILENCE_MS : SILENCE_SEEN_ALIVE_MS
  }

  #abandon(why: string): void {
    // Not awaited: the thread may be stuck in a system call, and the event loop may get no turn.
    void this.#worker.terminate()
    this.#die(why)
  }

  #die(why: string): void {
    if (!this.#dead) {
      while (!this.#dead && this.receive()) { /* what it finished before it died */ }
    }
    this.#dead = true
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    if (waiting.length === 0) return
    // While it is being stopped, `stop` holds the process open.
    if (this.#stopError === undefined) this.#worker.unref()
    failAll(waiting, this.#stopError ?? deathError(this.#cause, why, waiting.length))
  }
}

/**
 * Throws EMFILE or ENFILE when a thread would find no descriptors for its event loop. The thread itself reports that only to the
 * event loop, which a parked main thread does not run.
 */
function checkDescriptors(): void {
  const descriptors: number[] = []
  try {
    while (descriptors.length < THREAD_DESCRIPTORS) descriptors.push(openSync(devNull, 'r'))
  } catch (error) {
    // Other errors say nothing about descriptors.
    if (isOutOfDescriptors(error)) throw error
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor)
  }
}

let threadsAreSeen: boolean | undefined

/** Node's permission model may hide all threads, or throw. */
function seesThreads(): boolean {
  try {
    threadsAreSeen ??= existsSync(`/proc/self/task/${process.pid}`)
  } catch {
    threadsAreSeen = false
  }
  return threadsAreSeen
}

function deathError(cause: Error | undefined, why: string, jobs: number): SpillwayError {
  const code = (cause as { code?: unknown } | undefined)?.code
  const outOf = code === 'ERR_WORKER_INIT_FAILED' ? /\b(?:EMFILE|ENFILE)\b/.exec(cause!.message)?.[0] : undefined
  const isOutOfMemory = code === 'ERR_WORKER_OUT_OF_MEMORY'
  const remedy = isOutOfMemory ? 'Raise heapBytes, or submit it again in smaller pieces' : 'It can be submitted again'
  const reason = cause === undefined ? why : `${cause.message} (${why})`
  return new SpillwayError(
    'SPILLWAY_UNAVAILABLE',
    `the worker died: ${reason}; ${jobs === 1 ? '1 job was' : `${jobs} jobs were`} lost. ${remedy}`,
    { details: { jobs, why, ...(outOf === undefined ? {} : { code: outOf }) }, ...(cause === undefined ? {} : { cause }) },
  )
}

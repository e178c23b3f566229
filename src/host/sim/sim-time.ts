/**
 * Virtual time and the order of tasks. Tasks run on the real event loop. The clock moves by a tick per operation and per look at
 * it, by `sleepSync`, by `advance`, and to the next timer when nothing else is left.
 *
 * Invariants
 * 1. The order of tasks depends only on the calls made.
 * 2. Timers run in the order they are due; equals in the order they were set.
 * 3. Timers that do not hold the process open do not move the clock.
 */
import type { Disposer, HostClock, HostScheduler } from '../host.ts'

/** Of one operation or look at the clock, so that a loop waiting for time ends. */
const OPERATION_MS = 0.01
const LOOK_MS = 0.001

const WALL_START_MS = Date.UTC(2030, 0, 1)

interface Timer {
  dueMs: number
  order: number
  unref: boolean
  task: () => void
}

interface Deferred {
  turn: number
  order: number
  task: () => void
}

export class SimTime implements HostClock, HostScheduler {
  #nowMs = 0
  #order = 0
  #turn = 0
  #isArmed = false
  /** Tasks and due timers take turns, so that neither starves. */
  #isTimerNext = false
  readonly #tasks: (() => void)[] = []
  /** Sorted by turn, then order. */
  readonly #deferred: Deferred[] = []
  /** Sorted by due time, then order. */
  readonly #timers: Timer[] = []
  #idleWaiters: (() => void)[] = []

  nowMs(): number {
    this.#move(LOOK_MS)
    return this.#nowMs
  }

  wallMs(): number {
    return WALL_START_MS + Math.floor(this.#nowMs)
  }

  /** An operation took place. */
  tick(): void {
    this.#move(OPERATION_MS)
  }

  soon(task: () => void): void {
    this.#tasks.push(task)
    this.#arm()
  }

  microtask(task: () => void): void {
    queueMicrotask(task)
  }

  later(delayMs: number, task: () => void, unref = false): Disposer {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, unref, task }
    insert(this.#timers, timer, (a, b) => a.dueMs - b.dueMs)
    if (!unref) this.#arm()
    return () => {
      const at = this.#timers.indexOf(timer)
      if (at >= 0) this.#timers.splice(at, 1)
    }
  }

  sleepSync(delayMs: number): void {
    this.#move(Math.max(0, delayMs))
  }

  /** Run a task after `turns` (>= 1) turns, as an asynchronous operation ends. */
  defer(turns: number, task: () => void): void {
    insert(this.#deferred, { turn: this.#turn + turns, order: this.#order++, task }, (a, b) => a.turn - b.turn)
    this.#arm()
  }

  /** Let time pass; due timers run before this returns. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs
    for (let timer = this.#timers[0]; timer !== undefined && timer.dueMs <= endMs; timer = this.#timers[0]) this.#runTimer()
    if (this.#nowMs < endMs) this.#nowMs = endMs
  }

  /** Resolves when no task, asynchronous operation or holding timer is left. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      this.#idleWaiters.push(resolve)
      this.#arm()
    })
  }

  #move(byMs: number): void {
    this.#nowMs += byMs
    if (this.#timers.length > 0 && this.#timers[0]!.dueMs <= this.#nowMs) this.#arm()
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(() => { this.#runTurn() })
  }

  /** One task or timer a turn, so that microtasks run in between, as on the real event loop. */
  #runTurn(): void {
    this.#turn++
    this.#isArmed = false
    while (this.#deferred.length > 0 && this.#deferred[0]!.turn <= this.#turn) this.#tasks.push(this.#deferred.shift()!.task)
    try {
      if (this.#isTimerDue() && (this.#tasks.length === 0 || this.#isTimerNext)) {
        this.#isTimerNext = false
        this.#runTimer()
      } else if (this.#tasks.length > 0) {
        this.#isTimerNext = true
        this.#tasks.shift()!()
      } else if (this.#deferred.length === 0 && this.#holdsOpen()) {
        this.#runTimer()
      }
    } finally {
      this.#rest()
    }
  }

  #isTimerDue(): boolean {
    return this.#timers.length > 0 && this.#timers[0]!.dueMs <= this.#nowMs
  }

  #holdsOpen(): boolean {
    return this.#timers.some(timer => !timer.unref)
  }

  #runTimer(): void {
    const timer = this.#timers.shift()!
    if (timer.dueMs > this.#nowMs) this.#nowMs = timer.dueMs
    timer.task()
  }

  #rest(): void {
    if (this.#tasks.length > 0 || this.#deferred.length > 0 || this.#isTimerDue() || this.#holdsOpen()) {
      this.#arm()
      return
    }
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }
}

function insert<T extends { order: number }>(list: T[], item: T, compare: (a: T, b: T) => number): void {
  let at = list.length
  while (at > 0 && compare(list[at - 1]!, item) > 0) at--
  list.splice(at, 0, item)
}

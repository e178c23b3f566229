/** The event loop of this thread. Blocking sleeps wait on a private word. */
import type { Disposer, HostScheduler } from '../host.ts'

const parked = new Int32Array(new SharedArrayBuffer(4))

/** Its reactions are microtasks at a third of the cost of `queueMicrotask`, which carries the asynchronous context. */
const settled = Promise.resolve()

/** Maximum timer delay; beyond it Node fires at once. */
const MAX_DELAY_MS = 2 ** 31 - 1

export const nodeScheduler: HostScheduler = {
  soon(task: () => void): void {
    setImmediate(task)
  },
  microtask(task: () => void): void {
    void settled.then(task)
  },
  later(delayMs: number, task: () => void, unref = false): Disposer {
    const timer = setTimeout(task, Math.min(delayMs, MAX_DELAY_MS))
    if (unref) timer.unref()
    return () => { clearTimeout(timer) }
  },
  sleepSync(delayMs: number): void {
    if (delayMs > 0) Atomics.wait(parked, 0, 0, delayMs)
  },
}

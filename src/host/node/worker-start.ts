/**
 * The first module a worker runs: it reports the thread's end even when nothing after it can be loaded. On Linux a vanished thread
 * is recognised by its id.
 */
import { readlinkSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { DONE, ENDED, KERNEL_THREAD } from './worker-protocol.ts'
import type { WorkerData } from './worker-protocol.ts'

const data = workerData as WorkerData

export const port: MessagePort = data.port
export const words: Int32Array = data.words

process.on('exit', () => {
  Atomics.store(words, ENDED, 1)
  wakeMain()
})
Atomics.store(words, KERNEL_THREAD, kernelThread())

/** Wake a parked main thread. */
export function wakeMain(): void {
  Atomics.add(words, DONE, 1)
  Atomics.notify(words, DONE)
}

function kernelThread(): number {
  if (process.platform !== 'linux') return 0
  try {
    return Number(/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** A program whose descriptors are all taken when its runner needs a thread, and free again afterwards. */
import { closeSync, openSync } from 'node:fs'
import { isOutOfDescriptors } from '../file-error.ts'
import { nodeHost } from '../node/node-host.ts'
import * as module from './jobs.ts'

const runner = nodeHost().runner({ worker: module.workerUrl, module, mode: 'worker', heapBytes: 32 * 2 ** 20 })

/** The result of a job, by blocking calls only: a parked thread hears of no events. */
function add(): unknown {
  let outcome: unknown
  runner.submit({ name: 'add', args: { a: 1, b: 2 }, priority: 1 }, (error, result) => { outcome = error ?? result })
  while (outcome === undefined) runner.pump(true)
  return outcome
}

const taken: number[] = []
try {
  for (;;) taken.push(openSync('/dev/null', 'r'))
} catch {
  // All are taken.
}
for (const left of [0, 3, 6]) {
  for (let i = 0; i < left; i++) closeSync(taken.pop()!)
  console.log(isOutOfDescriptors(add()))
  for (let i = 0; i < left; i++) taken.push(openSync('/dev/null', 'r'))
}
for (const descriptor of taken) closeSync(descriptor)
console.log(JSON.stringify(add()))
await runner.close()

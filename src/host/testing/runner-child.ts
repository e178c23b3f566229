/** A program that forgets to close its runner. */
import { nodeHost } from '../node/node-host.ts'
import * as module from './jobs.ts'

const runner = nodeHost().runner({ worker: module.workerUrl, module, mode: 'worker', heapBytes: 32 * 2 ** 20 })
const mode = process.argv[2]
if (mode !== 'unused') {
  runner.submit({ name: 'add', args: { a: 1, b: 2 }, priority: 1 }, (_, result) => { console.log(JSON.stringify(result)) })
}
console.log('end of script')
// In the idle case the job has ended, and been delivered, before the script does.
if (mode === 'idle') while (runner.pump(true)) { /* until nothing is left */ }

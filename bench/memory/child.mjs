// One case in one process: runs it, says how it went, and stays alive until its memory has been read from outside.
//
//   node child.mjs '{ "program", "subject", "budgetBytes", "volume", "directory" }'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Watch } from './watch.mjs'

// The flag is for this thread: one that a store starts takes its sizes from what the flag says then.
setFlagsFromString('--min-semi-space-size=0')
touchYoungGeneration()

const { program, subject: subjectName, budgetBytes, volume, directory } = JSON.parse(process.argv[2])
const subject = await import(`./subjects/${subjectName}.mjs`)
const { run } = await import(`./cases/${program}.mjs`)

process.once('message', () => process.exit(0))
// Its memory is read no more.
process.once('disconnect', () => process.exit(1))

const watch = new Watch()
const open = (name = 'store', options = undefined, budget = budgetBytes) => {
  const path = join(directory, name)
  mkdirSync(path, { recursive: true })
  return subject.open(path, budget, options)
}
const started = performance.now()
const message = { done: true, hasLedger: subject.hasLedger }
try {
  message.report = await run({
    open, watch, volume, budgetBytes, holdsNothing: subject.holdsNothing === true,
    shareBudget: () => subject.shareBudget(budgetBytes),
  })
} catch (error) {
  message.error = error?.stack ?? String(error)
}
message.seconds = (performance.now() - started) / 1000
message.watch = watch.result()
process.send(message)

/** Use both semi-spaces once: a program that makes little garbage would leave part of them untouched, and one with a store not. */
function touchYoungGeneration() {
  for (let bytes = 0; bytes < 64 * 2 ** 20; bytes += 1024) new Array(126).fill(bytes)
}

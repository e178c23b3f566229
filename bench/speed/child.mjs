// One group of workloads with one store in one process: sends a result line for each and ends.
//
//   node child.mjs '{ "store", "group", "workloads", "phase", "directory", "budgetBytes", ... }'
import { measure } from './measure.mjs'
import { KEY_BYTES } from './plan.mjs'

const { store, program, workloads, phase, directory, budgetBytes, isDurable, isLargerThanMemory } = JSON.parse(process.argv[2], reviveInfinity)
const { open } = await import(`./stores/${store}.mjs`)
const { run } = await import(`./workloads/${program}.mjs`)

// The results are read no more.
process.once('disconnect', () => process.exit(1))

const sent = []
await run({
  phase, workloads,
  open: () => open(directory, { budgetBytes, isDurable, isLargerThanMemory, entryBytes: KEY_BYTES + workloads[0].valueBytes }),
  measure: ({ name, valueBytes, waits }, work) => measure(name, { directory, valueBytes, waits }, work),
  emit: line => sent.push(new Promise(resolve => process.send(line, resolve))),
})
await Promise.all(sent)
process.exit(0)

/** JSON has no Infinity. */
function reviveInfinity(key, value) {
  return value === 'Infinity' ? Infinity : value
}

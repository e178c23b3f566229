/** Spills and then ends as told: node scratch-child.js DIRECTORY exit|throw|wait */
import { externalSort } from '../external-sort.ts'
import { SpillQueue } from '../spill-queue.ts'

const [directory, ending] = process.argv.slice(2) as [string, string]

function* lines(): Generator<string> {
  for (let i = 0; i < 60_000; i++) yield `${Math.imul(i, 2654435761) >>> 0} a line that fills the memory of a small budget`
}

const queue = new SpillQueue<string>({ budget: '2 MiB', directory })
for (const line of lines()) queue.push(line)
const sorted = externalSort(lines(), { budget: '2 MiB', directory })
await sorted.next()
if (ending === 'exit') process.exit(0)
if (ending === 'throw') throw new Error('ended by an error')
process.stdout.write('spilled\n')
setInterval(() => queue.size, 1000)

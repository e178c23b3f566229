/**
 * Fills a map beyond its memory in one event-loop turn and prints "ready". Then it ends ('exit'), throws ('throw'), or runs until it
 * is killed ('stay'). Arguments: directory, ending, budget.
 */
import { SpillMap } from '../index.ts'

const [directory, ending, budget] = process.argv.slice(2)
const map = new SpillMap<number, string>({ budget: budget!, directory: directory! })
for (let i = 0; i < 60_000; i++) map.set(i, 'x'.repeat(200))
process.stdout.write('ready\n')
if (ending === 'throw') throw new Error('on purpose')
if (ending === 'stay') setInterval(() => map.set(map.size, 'y'.repeat(5000)), 1)

/**
 * A writer to be killed: numbers its writes, goes on where the store says it stopped, and reports each acknowledgement
 * on stdout before it makes the next write. Arguments: directory, batch size.
 */
import { writeSync } from 'node:fs'
import { Spillway } from '../spillway.ts'

const [directory, size] = process.argv.slice(2)
const batchSize = Number(size)
const db = await Spillway.open(directory!, { budget: '32 MiB', durability: 'os' })
let next = Number(await db.get('last') ?? -1) + 1
writeSync(1, `open ${next}\n`)
const filler = 'x'.repeat(200)
for (;;) {
  const operations = []
  for (let i = 0; i < batchSize; i++) operations.push({ type: 'put' as const, key: `row:${String(next + i).padStart(10, '0')}`, value: `${next + i} ${filler}` })
  next += batchSize
  operations.push({ type: 'put' as const, key: 'last', value: String(next - 1) })
  await db.batch(operations)
  writeSync(1, `acked ${next - 1}\n`)
}

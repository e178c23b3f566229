/**
 * A writer to be killed: numbers its writes, goes on where the store says it stopped, and reports each acknowledgement
 * on stdout before it makes the next write. Arguments: directory, batch size.
 */
import { Spillway } from '../spillway.ts'

/** Resolves when the line is with the reader's pipe; a full pipe is waited for. */
function report(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(line, error => {
      if (error) reject(error)
      else resolve()
    })
  })
}

const [directory, size] = process.argv.slice(2)
const batchSize = Number(size)
const db = await Spillway.open(directory!, { budget: '32 MiB', durability: 'os' })
let next = Number(await db.get('last') ?? -1) + 1
await report(`open ${next}\n`)
const filler = 'x'.repeat(200)
for (;;) {
  const operations = []
  for (let i = 0; i < batchSize; i++) operations.push({ type: 'put' as const, key: `row:${String(next + i).padStart(10, '0')}`, value: `${next + i} ${filler}` })
  next += batchSize
  operations.push({ type: 'put' as const, key: 'last', value: String(next - 1) })
  await db.batch(operations)
  await report(`acked ${next - 1}\n`)
}

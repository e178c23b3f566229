// LevelDB. Its documentation names two options for memory: the block cache, and the write buffer, of which there may be two.
import { join } from 'node:path'
import { fromPeers } from './from-peers.mjs'

export const hasLedger = false

export async function open(directory, budgetBytes) {
  const { ClassicLevel } = await fromPeers('classic-level')
  const db = new ClassicLevel(join(directory, 'level'), {
    keyEncoding: 'buffer', valueEncoding: 'buffer', cacheSize: budgetBytes / 2, writeBufferSize: budgetBytes / 4,
  })
  await db.open()
  db.flush = async () => {}
  db.count = async () => {
    let count = 0
    const keys = db.keys()
    for (let some = await keys.nextv(1000); some.length > 0; some = await keys.nextv(1000)) count += some.length
    await keys.close()
    return count
  }
  return db
}

// LevelDB. Of a budget half is the block cache and a quarter the write buffer, of which there may be two. `sync: false` is its
// default: the log is with the kernel, so a write survives the process.
import { join } from 'node:path'
import { fromPeers } from '../../memory/subjects/from-peers.mjs'

const SCAN_CHUNK = 1000

export async function open(directory, { budgetBytes, isDurable, entryBytes }) {
  const { ClassicLevel } = await fromPeers('classic-level')
  const db = new ClassicLevel(join(directory, 'level'), {
    keyEncoding: 'buffer', valueEncoding: 'buffer', cacheSize: budgetBytes / 2, writeBufferSize: budgetBytes / 4,
  })
  await db.open()
  // Its documentation: room for `size` entries, or `nextv(size)` stops at 16 KiB.
  const highWaterMarkBytes = SCAN_CHUNK * entryBytes
  const sync = { sync: true }
  return {
    put: isDurable ? (key, value) => db.put(key, value, sync) : (key, value) => db.put(key, value),
    batch: operations => db.batch(operations),
    get: key => db.get(key),
    getSync: key => db.getSync(key),
    async scan(gte, limit, visit) {
      const options = { limit: limit === Infinity ? -1 : limit, highWaterMarkBytes }
      if (gte !== undefined) options.gte = gte
      const iterator = db.iterator(options)
      let count = 0
      for (let some; (some = await iterator.nextv(Math.min(SCAN_CHUNK, limit))).length > 0;) {
        for (const [key, value] of some) visit(key, value)
        count += some.length
        if (count >= limit) break
      }
      await iterator.close()
      return count
    },
    async settle() {},
    close: () => db.close(),
  }
}

// LMDB. Its memory is the page cache of a mapped file, which no option bounds. `noSync` is what survives the process but not the
// machine, and what its documentation names for speed: commits are written to the file and not flushed. Its default (overlapping
// sync) acknowledges at the same point, and flushes behind. Durable: the default, and a write is awaited until it is flushed.
// Reads copy ('binary'); writes of one turn are one transaction, which is its documented way for batches.
import { join } from 'node:path'
import { fromPeers } from '../../memory/subjects/from-peers.mjs'

const MAP_BYTES = 32 * 2 ** 30

export async function open(directory, { isDurable }) {
  const { open: openLmdb } = await fromPeers('lmdb')
  const db = openLmdb({
    path: join(directory, 'data.mdb'), keyEncoding: 'binary', encoding: 'binary', mapSize: MAP_BYTES,
    ...(isDurable ? {} : { noSync: true }),
  })
  return {
    put: isDurable ? async (key, value) => {
      await db.put(key, value)
      await db.flushed
    } : (key, value) => db.put(key, value),
    batch(operations) {
      let last
      for (const { type, key, value } of operations) last = type === 'put' ? db.put(key, value) : db.remove(key)
      return last
    },
    get: key => db.get(key),
    getSync: key => db.get(key),
    // Its documentation, for data that may not be in memory: fault it in on another thread.
    async getConcurrently(key) {
      await db.prefetch([key])
      return db.get(key)
    },
    scan(gte, limit, visit) {
      const options = {}
      if (gte !== undefined) options.start = gte
      if (limit !== Infinity) options.limit = limit
      let count = 0
      for (const { key, value } of db.getRange(options)) {
        visit(key, value)
        count++
      }
      return count
    },
    settle: async () => { await db.flushed },
    close: () => db.close(),
  }
}

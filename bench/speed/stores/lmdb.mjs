// LMDB. Its memory is the page cache of a mapped file, which no option bounds. `noSync` with `useWritemap` is what survives the
// process but not the machine, and what its documentation names for speed; it was measured to write about twice as fast as `noSync`
// alone. Durable: its default (overlapping sync), and a write is awaited until it is flushed. Reads copy ('binary'); writes of one
// turn are one transaction, which is its documented way for batches. Where memory is short, no read-ahead, as it says.
import { join } from 'node:path'
import { fromPeers } from '../../memory/subjects/from-peers.mjs'

const MAP_BYTES = 32 * 2 ** 30

export async function open(directory, { isDurable, isLargerThanMemory }) {
  const { open: openLmdb } = await fromPeers('lmdb')
  const db = openLmdb({
    path: join(directory, 'data.mdb'), keyEncoding: 'binary', encoding: 'binary', mapSize: MAP_BYTES, noReadAhead: isLargerThanMemory,
    ...(isDurable ? {} : { noSync: true, useWritemap: true }),
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

// The store itself, through the package's own entry. 'os': a write is with the kernel before it is acknowledged, so it survives the
// process; 'disk': it is synced.
import { Spillway } from 'spillway'

const SCAN_CHUNK = 1000

export async function open(directory, { budgetBytes, isDurable }) {
  const db = await Spillway.open(directory, {
    budget: budgetBytes, durability: isDurable ? 'disk' : 'os', keyEncoding: 'buffer', valueEncoding: 'buffer',
  })
  return {
    put: (key, value) => db.put(key, value),
    batch: operations => db.batch(operations),
    get: key => db.get(key),
    getSync: key => db.getSync(key),
    scan(gte, limit, visit) {
      const iterator = db.iterator(gte === undefined ? { limit } : { gte, limit })
      if (limit > SCAN_CHUNK) return walk(iterator, visit)
      // What fits one chunk needs no promise.
      const entries = iterator.nextvSync(limit)
      for (const [key, value] of entries) visit(key, value)
      iterator.closeSync()
      return entries.length
    },
    settle: () => db.flush(),
    close: () => db.close(),
  }
}

/** In chunks, between which the event loop has its turns. */
async function walk(iterator, visit) {
  let count = 0
  for (let some; (some = await iterator.nextv(SCAN_CHUNK)).length > 0;) {
    for (const [key, value] of some) visit(key, value)
    count += some.length
  }
  await iterator.close()
  return count
}

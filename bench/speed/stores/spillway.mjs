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
    async scan(gte, limit, visit) {
      const iterator = db.iterator(gte === undefined ? { limit } : { gte, limit })
      let count = 0
      for (let some; (some = await iterator.nextv(Math.min(SCAN_CHUNK, limit))).length > 0;) {
        for (const [key, value] of some) visit(key, value)
        count += some.length
        if (count >= limit) break
      }
      await iterator.close()
      return count
    },
    settle: () => db.flush(),
    close: () => db.close(),
  }
}

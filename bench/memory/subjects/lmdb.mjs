// LMDB. Its memory is the page cache of a mapped file: there is no option that bounds it, and its pages count as RSS.
import { join } from 'node:path'
import { fromPeers } from './from-peers.mjs'

export const hasLedger = false

class LmdbIterator {
  #entries

  constructor(db, start) {
    this.#entries = db.getRange(start === undefined ? {} : { start })[Symbol.iterator]()
  }

  async next() {
    const { done, value } = this.#entries.next()
    return done ? undefined : [value.key, value.value]
  }

  async nextv(size) {
    const some = []
    for (let entry; some.length < size && (entry = await this.next()) !== undefined;) some.push(entry)
    return some
  }

  async close() {
    this.#entries.return?.()
  }

  async* [Symbol.asyncIterator]() {
    try {
      for (;;) {
        const some = await this.nextv(256)
        if (some.length === 0) return
        yield* some
        await new Promise(setImmediate)
      }
    } finally {
      await this.close()
    }
  }
}

export async function open(directory) {
  const { open: openLmdb } = await fromPeers('lmdb')
  const db = openLmdb({ path: join(directory, 'data.mdb'), keyEncoding: 'binary', encoding: 'binary' })
  return {
    put: (key, value) => db.put(key, value),
    batch(operations) {
      let last
      for (const { key, value } of operations) last = db.put(key, value)
      return last
    },
    get: async key => db.get(key),
    iterator: ({ gte } = {}) => new LmdbIterator(db, gte),
    count: async () => db.getCount(),
    flush: async () => { await db.flushed },
    close: () => db.close(),
  }
}

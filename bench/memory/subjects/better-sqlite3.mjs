// SQLite: one table, WAL, synchronous NORMAL; the budget is the size of its page cache.
import { join } from 'node:path'
import { fromPeers } from './from-peers.mjs'

export const hasLedger = false

/** Reads in steps, because an open statement would keep the connection from writing. */
class SqliteIterator {
  #step
  #last
  #inclusive = true
  #chunk = []
  #at = 0

  constructor(step, start) {
    this.#step = step
    this.#last = start ?? Buffer.alloc(0)
  }

  async next() {
    if (this.#at >= this.#chunk.length) {
      this.#chunk = this.#read(256)
      this.#at = 0
    }
    return this.#chunk[this.#at++]
  }

  async nextv(size) {
    if (this.#at >= this.#chunk.length) return this.#read(size)
    const some = this.#chunk.slice(this.#at, this.#at + size)
    this.#at += some.length
    return some
  }

  async close() {
    this.#chunk = []
  }

  async* [Symbol.asyncIterator]() {
    for (;;) {
      const some = this.#read(256)
      if (some.length === 0) return
      yield* some
      await new Promise(setImmediate)
    }
  }

  #read(size) {
    const rows = this.#step[this.#inclusive ? 'from' : 'after'].all(this.#last, size)
    if (rows.length > 0) {
      this.#last = rows.at(-1)[0]
      this.#inclusive = false
    }
    return rows
  }
}

export async function open(directory, budgetBytes) {
  const { default: Database } = await fromPeers('better-sqlite3')
  const db = new Database(join(directory, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.pragma(`cache_size = -${Math.floor(budgetBytes / 1024)}`)
  db.exec('CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID')
  const put = db.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)')
  const get = db.prepare('SELECT value FROM entries WHERE key = ?').pluck()
  const step = {
    from: db.prepare('SELECT key, value FROM entries WHERE key >= ? ORDER BY key LIMIT ?').raw(),
    after: db.prepare('SELECT key, value FROM entries WHERE key > ? ORDER BY key LIMIT ?').raw(),
  }
  const batch = db.transaction(operations => {
    for (const { key, value } of operations) put.run(key, value)
  })
  return {
    async put(key, value) { put.run(key, value) },
    async batch(operations) { batch(operations) },
    get: async key => get.get(key),
    iterator: ({ gte } = {}) => new SqliteIterator(step, gte),
    count: async () => db.prepare('SELECT count(*) FROM entries').pluck().get(),
    async flush() {},
    async close() { db.close() },
  }
}

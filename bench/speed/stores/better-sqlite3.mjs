// SQLite in WAL mode. Every call is synchronous, so concurrent writers are one behind the other. `synchronous` OFF is what survives
// the process but not the machine; FULL syncs the log at every commit. WITHOUT ROWID is for rows below a twentieth of a page, says
// its documentation (rows of 1 KiB were measured to be several times slower in it): larger ones are in an ordinary table.
import { join } from 'node:path'
import { fromPeers } from '../../memory/subjects/from-peers.mjs'

const SHORT_SCAN = 1000
const SMALL_ROW_BYTES = 200

export async function open(directory, { budgetBytes, isDurable, entryBytes }) {
  const { default: Database } = await fromPeers('better-sqlite3')
  const db = new Database(join(directory, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma(`synchronous = ${isDurable ? 'FULL' : 'OFF'}`)
  db.pragma(`cache_size = -${Math.floor(budgetBytes / 1024)}`)
  const rowId = entryBytes <= SMALL_ROW_BYTES ? 'WITHOUT ROWID' : ''
  db.exec(`CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) ${rowId}`)
  const put = db.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)')
  const del = db.prepare('DELETE FROM entries WHERE key = ?')
  const get = db.prepare('SELECT value FROM entries WHERE key = ?').pluck()
  const all = db.prepare('SELECT key, value FROM entries ORDER BY key').raw()
  const some = db.prepare('SELECT key, value FROM entries ORDER BY key LIMIT ?').raw()
  const from = db.prepare('SELECT key, value FROM entries WHERE key >= ? ORDER BY key LIMIT ?').raw()
  const batch = db.transaction(operations => {
    for (const { type, key, value } of operations) {
      if (type === 'put') put.run(key, value)
      else del.run(key)
    }
  })
  return {
    put(key, value) { put.run(key, value) },
    batch(operations) { batch(operations) },
    get: key => get.get(key),
    getSync: key => get.get(key),
    scan(gte, limit, visit) {
      let count = 0
      const rows = limit > SHORT_SCAN ? all.iterate() : gte === undefined ? some.all(limit) : from.all(gte, limit)
      for (const [key, value] of rows) {
        visit(key, value)
        count++
      }
      return count
    },
    async settle() {},
    async close() { db.close() },
  }
}

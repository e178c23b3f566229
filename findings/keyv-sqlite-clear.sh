#!/usr/bin/env bash
# A guess: clear() of a namespace deletes the rows of that namespace.
# What happens: the adapter deletes by `key LIKE 'namespace:%'`. In SQLite LIKE does not tell capitals from small letters of
#   ASCII, and "_" stands for any character: clear() of "Users" deletes "users", of "a_b" deletes "axb", of "a" deletes "a:b".
# Seen with: @keyv/sqlite 4.0.8 and keyv 5.6.0, Linux x64. To spare the minutes of building the native package sqlite3, the script lets
#   the adapter's SQL run on the SQLite inside node 24.21.0; with sqlite3 5.1.7 the answers were the same.
# Who meets it: who names namespaces by tenants, users or environments.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund --ignore-scripts keyv@5.6.0 @keyv/sqlite@4.0.8 >/dev/null || exit 2
rm -r node_modules/sqlite3; mkdir node_modules/sqlite3
cat > node_modules/sqlite3/index.js <<'JS'
const { DatabaseSync } = require('node:sqlite')
exports.Database = class Database {
  constructor(file, done) { this.db = new DatabaseSync(file); setImmediate(done, null) }
  configure() {}
  all(sql, ...rest) {
    const done = rest.pop()
    let rows
    try { rows = this.db.prepare(sql).all(...rest.flat()) } catch (error) { return setImmediate(done, error) }
    setImmediate(done, null, rows)
  }
  close(done) { this.db.close(); if (done) setImmediate(done, null) }
}
JS
cat > see.mjs <<'JS'
import { Keyv } from 'keyv'
import KeyvSqlite from '@keyv/sqlite'
let as = true
for (const [one, other] of [['Users', 'users'], ['a_b', 'axb'], ['a', 'a:b'], ['plain', 'other']]) {
  const open = (namespace) => new Keyv({ store: new KeyvSqlite(`sqlite://${one}.sqlite`), namespace })
  const first = open(one)
  const second = open(other)
  await second.set('key', 'row of the other')
  await first.clear()
  const left = await second.get('key')
  console.log(`clear() of "${one}": the row of "${other}" is ${left === undefined ? 'deleted' : 'still there'}`)
  as &&= (left === undefined) === (one !== 'plain')
}
process.exit(as ? 0 : 1)
JS
n24/node_modules/.bin/node --no-warnings see.mjs

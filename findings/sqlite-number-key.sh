#!/usr/bin/env bash
# A guess: a JavaScript number bound to a TEXT key is stored as its digits: 123 becomes '123', and get('123') finds it.
# What happens: node:sqlite binds every number as a floating point value, so the key is the text '123.0' and a look-up by '123' misses.
#   Bun's built-in SQLite stores '123'. The two runtimes, on one file, make two rows of one key, even under a primary key.
# Seen with: node:sqlite of node 24.21.0, bun:sqlite of bun 1.4.5, Linux x64. better-sqlite3 12 does as node:sqlite.
# Who meets it: key-value tables (key TEXT PRIMARY KEY) whose keys are now and then numbers, and moves from one runtime to the other.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 >/dev/null || exit 2
cat > put.cjs <<'JS'
const bun = process.versions.bun !== undefined
const Database = bun ? require('bun:sqlite').Database : require('node:sqlite').DatabaseSync
const db = new Database('shared.db')
db.exec('create table if not exists kv (key text primary key, writer text)')
db.prepare('insert or replace into kv values (?, ?)').run(123, bun ? 'bun' : 'node')
const found = db.prepare('select count(*) as n from kv where key = ? and writer = ?').get('123', bun ? 'bun' : 'node').n
const keys = db.prepare('select key from kv order by key').all().map((row) => row.key)
console.log(`put(123); get('123') finds ${found}; keys in the file: ${keys.join(' and ')}`)
JS
node_saw=$(n24/node_modules/.bin/node --no-warnings put.cjs); echo "Node: $node_saw"
bun_saw=$(node_modules/.bin/bun put.cjs); echo "Bun, then: $bun_saw"
[ "$node_saw" = "put(123); get('123') finds 0; keys in the file: 123.0" ] || exit 1
[ "$bun_saw" = "put(123); get('123') finds 1; keys in the file: 123 and 123.0" ] || exit 1

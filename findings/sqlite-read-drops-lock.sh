#!/usr/bin/env bash
# A guess: inside BEGIN IMMEDIATE nobody else writes the database, whatever else the process does with the file.
# What happens: SQLite's locks are fcntl locks, dropped when the process closes any descriptor of the file that SQLite did not open
#   itself. One fs.readFileSync of the database (a checksum, a backup) ends the lock of the running transaction. Another process then
#   writes in the middle of it, and the first one's commit fails with an error that names the disk.
# Seen with: node:sqlite of node 24.21.0, Linux x64, rollback journal (the default). better-sqlite3 12 does the same.
# Who meets it: programs that hash or copy the live database file from inside.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
cat > other.cjs <<'JS'
const { DatabaseSync } = require('node:sqlite')
const db = new DatabaseSync(process.argv[2])
try { db.exec('begin immediate; update account set balance = balance + 1; commit'); console.log('wrote') } catch (error) { console.log(error.message) }
JS
cat > see.cjs <<'JS'
const fs = require('node:fs')
const { execFileSync } = require('node:child_process')
const { DatabaseSync } = require('node:sqlite')
const meanwhile = {
  'nothing else': () => {},
  'another connection is opened and closed': (file) => { const db = new DatabaseSync(file); db.prepare('select * from account').all(); db.close() },
  'fs.readFileSync of the database': (file) => fs.readFileSync(file),
}
const saw = Object.entries(meanwhile).map(([label, work], i) => {
  const file = `bank-${i}.db`
  const db = new DatabaseSync(file)
  db.exec('create table account (balance); insert into account values (0); begin immediate; update account set balance = 10')
  work(file)
  const other = execFileSync(process.execPath, ['--no-warnings', 'other.cjs', file], { encoding: 'utf8' }).trim()
  let commit = 'ok'
  try { db.exec('commit') } catch (error) { commit = error.message }
  console.log(`inside the transaction: ${label}; another process: ${other}; commit: ${commit}`)
  return other
})
process.exit(saw.join() === 'database is locked,database is locked,wrote' ? 0 : 1)
JS
n24/node_modules/.bin/node --no-warnings see.cjs

#!/usr/bin/env bash
# A guess: keys that differ as JavaScript values, such as 'a' and ['a'], are two rows; 0 and -0, which are === and one key of a Map, are one.
# What happens: the other way round. An array of one element is the key of that element: ['a'] overwrites 'a' and comes back as 'a'.
#   -0 is a row of its own, is not found by get(0), sorts behind all numbers, and comes back from a scan as an array that nobody wrote.
# Seen with: lmdb 3.5.6, node 20.20.2, Linux x64.
# Who meets it: compound keys of variable length, such as paths ([tenant], [tenant, user]) beside plain keys, and computed keys:
#   Math.round(-0.2) is -0.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund lmdb@3.5.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { open } from 'lmdb'
const db = open({ path: 'store' })
await db.put('a', 'row of the string')
await db.put(['a'], 'row of the array')
const string = db.get('a')
console.log("get('a'):", JSON.stringify(string), 'keys:', JSON.stringify([...db.getKeys()]))
await db.clearAsync()
for (const key of [-1, 0, 1]) await db.put(key, `row of ${key}`)
await db.put(Math.round(-0.2), 'row of Math.round(-0.2)')
const zero = db.get(0)
const keys = [...db.getKeys()]
console.log('get(0):', JSON.stringify(zero), 'keys:', JSON.stringify(keys))
await db.close()
process.exitCode = string === 'row of the array' && zero === 'row of 0' && keys.length === 4 && Array.isArray(keys[3]) ? 0 : 1
JS
node see.mjs

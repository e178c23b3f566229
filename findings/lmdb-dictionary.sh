#!/usr/bin/env bash
# A guess: compressed values carry what is needed to read them, or the reader says that something is missing.
# What happens: with `compression: true` the LZ4 data refer to a dictionary that is a file of the npm package and is not in the database.
#   A reader with another dictionary (its own, one that was edited, another tool) gets values of the right length with wrong text in
#   them, and no error.
# Seen with: lmdb 3.5.6, node 20.20.2, Linux x64.
# Who meets it: who opens a store with the `dictionary` option after it was filled without, changes the dictionary, or reads the files
#   by another tool. Backups of the database alone are not enough.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund lmdb@3.5.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { open } from 'lmdb'
const text = '{"name":"value","type":"object"} '.repeat(60)
const read = async (label, compression) => {
  const db = open({ path: 'store', compression })
  let got
  try { got = db.get('key') } catch (error) { console.log(`${label}: ${error.message}`); return }
  finally { await db.close() }
  console.log(`${label}: length ${got.length} of ${text.length}, begins ${got.slice(0, 33)}`)
  return got
}
const db = open({ path: 'store', compression: true })
await db.put('key', text)
await db.close()
const same = await read('the same dictionary', true)
const other = await read('another dictionary', { dictionary: Buffer.alloc(1000, 'q') })
process.exitCode = same === text && typeof other === 'string' && other.length === text.length && other !== text ? 0 : 1
JS
node see.mjs

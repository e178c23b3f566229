#!/usr/bin/env bash
# A guess: put(key, buffer) takes the bytes at the moment of the call, as node:fs callers and LevelDB bindings are used to, at least for
#   small values. A caller may then fill the same buffer with the next row.
# What happens: with `encoding: 'binary'` lmdb keeps the buffer itself and reads it when the batch is written, some turns later. Rows
#   put from one reused buffer all get what was in it last. No error, and awaiting all the promises does not help.
# Seen with: lmdb 3.5.6, node 20.20.2, Linux x64.
# Who meets it: encoders that write each value into one scratch buffer, and readers that hand on a chunk which they fill again.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund lmdb@3.5.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { open } from 'lmdb'
const rows = 50
const right = {}
for (const size of [8, 4000]) {
  for (const copy of [true, false]) {
    const db = open({ path: `store-${size}-${copy}`, encoding: 'binary' })
    const scratch = Buffer.alloc(size)
    const writes = []
    for (let i = 0; i < rows; i++) {
      scratch.fill(i)
      writes.push(db.put(i, copy ? Buffer.from(scratch) : scratch))
    }
    await Promise.all(writes)
    let count = 0
    for (let i = 0; i < rows; i++) if (db.get(i).every((byte) => byte === i)) count++
    console.log(`values of ${size} bytes, ${copy ? 'a copy each' : 'one buffer reused'}: ${count} of ${rows} rows are right`)
    right[`${size} ${copy}`] = count
    await db.close()
  }
}
process.exitCode = right['8 true'] === rows && right['4000 true'] === rows && right['8 false'] < rows / 2 && right['4000 false'] < rows / 2 ? 0 : 1
JS
node see.mjs

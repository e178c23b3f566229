#!/usr/bin/env bash
# A guess: a Level database owns what it was given. All implementations of abstract-level do the same with a Buffer, and it does not
#   matter whether the database had finished opening.
# What happens: memory-level keeps the caller's Buffer and gives that very Buffer to every reader, so writing into what get() returned
#   changes the stored row. classic-level copies, but only once it is open: a put made while it opens waits with the caller's Buffer,
#   and stores what is in it later.
# Seen with: memory-level 3.1.0 and classic-level 3.0.0, node 20.20.2, Linux x64.
# Who meets it: tests on memory-level of code that runs on classic-level, and the first writes of a program after its start.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund memory-level@3.1.0 classic-level@3.0.0 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { MemoryLevel } from 'memory-level'
import { ClassicLevel } from 'classic-level'
const saw = []
async function put(label, db) {
  const value = Buffer.from('given')
  const done = db.put('key', value)
  value.write('later')
  await done
  const stored = (await db.get('key')).toString()
  console.log(`${label}: stored "${stored}"`)
  saw.push(stored)
}
const memory = new MemoryLevel({ valueEncoding: 'buffer' })
await memory.open()
await put('memory-level, open', memory)
;(await memory.get('key')).write('READER')
const after = (await memory.get('key')).toString()
console.log(`memory-level, after a reader wrote into its result: "${after}"`)
saw.push(after)
const classic = new ClassicLevel('store', { valueEncoding: 'buffer' })
await put('classic-level, still opening', classic)
await put('classic-level, open', classic)
process.exitCode = saw.join() === 'later,READE,later,given' ? 0 : 1
JS
node see.mjs

#!/usr/bin/env bash
# A guess: a string that was stored is read back as that string.
# What happens: strings are stored bare and guessed at on the way out. "1.10" comes back as the number 1.1, a hash such as "12e45678" as
#   Infinity, "1e3" as 1000, "true" as a boolean, and "null" as null, which is what a missing row reads as. "007" and numbers that would
#   lose digits stay strings, so tests with such values pass.
# Seen with: unstorage 1.17.6 (driver in memory), node 20.20.2, Linux x64.
# Who meets it: versions, postal codes, hexadecimal ids and text that people typed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund unstorage@1.17.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { createStorage } from 'unstorage'
const storage = createStorage()
const expected = { '1.10': 1.1, '12e45678': Infinity, '1e3': 1000, true: true, null: null, '007': '007', '12345678901234567890': '12345678901234567890' }
let as = true
for (const [text, was] of Object.entries(expected)) {
  await storage.setItem('key', text)
  const back = await storage.getItem('key')
  console.log(`stored the string "${text}", read ${back === null ? 'null' : `${typeof back} ${back}`}`)
  as &&= Object.is(back, was)
}
process.exitCode = as ? 0 : 1
JS
node see.mjs

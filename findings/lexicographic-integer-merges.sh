#!/usr/bin/env bash
# A guess: an encoding made for keys gives each safe integer a key of its own, or refuses the ones it cannot hold.
# What happens: from about 2^45 on neighbours get the same bytes. 100 000 timestamps in microseconds, one after the other, make less than
#   a thousand keys; unpack() gives back another number. Milliseconds (2^40) are still exact, so tests with Date.now() pass.
# Seen with: lexicographic-integer 1.1.0, node 20.20.2, Linux x64.
# Who meets it: time series keyed by microseconds or nanoseconds, and ids of 48 bits and more.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund lexicographic-integer@1.1.0 >/dev/null || exit 2
cat > see.cjs <<'JS'
const { pack, unpack } = require('lexicographic-integer')
const count = 100_000
const distinct = (first) => {
  const keys = new Set()
  for (let i = 0; i < count; i++) keys.add(pack(first + i, 'hex'))
  console.log(`${count} integers from ${first} on: ${keys.size} keys; ${first + 1} comes back as ${unpack(pack(first + 1, 'hex'))}`)
  return keys.size
}
const millis = distinct(1_700_000_000_000)
const micros = distinct(1_700_000_000_000_000)
process.exit(millis === count && micros < count / 50 ? 0 : 1)
JS
node see.cjs

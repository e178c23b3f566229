#!/usr/bin/env bash
# A guess: fs.readdirSync gives the names in the same order on every runtime, whatever that order is.
# What happens: Node and Deno give them sorted, Bun gives them as the file system does, in no useful order. A program that replays
#   segments in the order of readdir is right for years and replays them shuffled on Bun. fs.opendir is not sorted on Node either.
# Seen with: node 24.21.0, deno 2.9.6, bun 1.4.5, ext4 and Linux x64.
# Who meets it: logs, segments and migrations that are numbered and read in the order of the directory.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 deno@2.9.6 >/dev/null || exit 2
cat > see.cjs <<'JS'
const fs = require('node:fs')
const sorted = (names) => names.every((name, i) => i === 0 || names[i - 1] < name) ? 'sorted' : 'not sorted'
const entries = fs.opendirSync('segments')
const names = []
for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) names.push(entry.name)
entries.closeSync()
console.log(`readdirSync ${sorted(fs.readdirSync('segments'))}, opendirSync ${sorted(names)}`)
JS
mkdir segments
for i in $(seq 1000 1199); do : > "segments/$i.log"; done
changed=0
look() { local want=$1 label=$2 saw; shift 2; saw=$("$@"); echo "$label: $saw"; case $saw in "$want"*) ;; *) changed=1 ;; esac; }
look 'readdirSync sorted' Node n24/node_modules/.bin/node see.cjs
look 'readdirSync sorted' Deno node_modules/.bin/deno run -A see.cjs
look 'readdirSync not sorted' Bun node_modules/.bin/bun see.cjs
exit $changed

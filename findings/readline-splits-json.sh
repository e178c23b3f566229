#!/usr/bin/env bash
# A guess: node:readline ends a line at \n, \r\n or \r, as its documentation says, so it can read a file of one JSON value a line.
# What happens: since Node 24 (and on Bun and Deno) it ends a line at U+2028, the line separator, too. JSON allows it inside strings
#   and JSON.stringify does not escape it, so one row arrives as two pieces that are no JSON. Node 20 and 22 read the row whole.
# Seen with: node 22.23.3, 24.21.0 and 26.10.0, bun 1.4.5, deno 2.9.6, Linux x64.
# Who meets it: importers of JSON lines with text written by people, after an upgrade of Node.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
for version in 22.23.3 24.21.0 26.10.0; do
  npm install --loglevel=error --no-audit --no-fund --prefix "n${version%%.*}" "node@$version" >/dev/null || exit 2
done
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 deno@2.9.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import fs from 'node:fs'
import readline from 'node:readline'
fs.writeFileSync('rows.jsonl', JSON.stringify({ text: 'one\u2028two' }) + '\n' + JSON.stringify({ text: 'three' }) + '\n')
let lines = 0
let parsed = 0
for await (const line of readline.createInterface({ input: fs.createReadStream('rows.jsonl'), crlfDelay: Infinity })) {
  lines++
  try { JSON.parse(line); parsed++ } catch { /* counted by what is missing */ }
}
console.log(`2 rows, ${lines} lines, ${parsed} are JSON`)
JS
changed=0
look() { local want=$1 label=$2 saw; shift 2; saw=$("$@"); echo "$label: $saw"; [ "$saw" = "$want" ] || changed=1; }
whole='2 rows, 2 lines, 2 are JSON'; torn='2 rows, 3 lines, 1 are JSON'
look "$whole" 'Node 22' ./n22/node_modules/.bin/node see.mjs
look "$torn" 'Node 24' ./n24/node_modules/.bin/node see.mjs
look "$torn" 'Node 26' ./n26/node_modules/.bin/node see.mjs
look "$torn" 'Bun' node_modules/.bin/bun see.mjs
look "$torn" 'Deno' node_modules/.bin/deno run -A see.mjs
exit $changed

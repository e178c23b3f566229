#!/usr/bin/env bash
# A guess: a line that is `null` is a row like any other JSON value, or is skipped.
# What happens: the row is pushed into an object stream, where null means "the end". All rows after it are lost; what is reported is
#   "stream.push() after EOF", which names neither the line nor the cause.
# Seen with: ndjson 2.0.0 and split2 4.2.0 with JSON.parse; stream-json 3.8.0 gives all rows. node 20.20.2, Linux x64.
# Who meets it: importers of JSON lines from exports that write null for an empty row.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund ndjson@2.0.0 split2@4.2.0 >/dev/null || exit 2
cat > see.cjs <<'JS'
const { Readable } = require('node:stream')
const parsers = { 'ndjson.parse()': require('ndjson').parse(), 'split2(JSON.parse)': require('split2')(JSON.parse) }
const look = (label, parser) => new Promise((resolve) => {
  const rows = []
  let error = 'none'
  parser.on('data', (row) => rows.push(row)).on('error', (caught) => { error = caught.message })
  parser.on('close', () => resolve({ label, rows, error })).on('error', () => setImmediate(() => resolve({ label, rows, error })))
  Readable.from(['1\n', 'null\n', '2\n', '3\n']).pipe(parser)
})
async function main() {
  let as = true
  for (const [label, parser] of Object.entries(parsers)) {
    const { rows, error } = await look(label, parser)
    console.log(`${label}: 4 lines, rows ${JSON.stringify(rows)}, error: ${error}`)
    as &&= JSON.stringify(rows) === '[1]' && error === 'stream.push() after EOF'
  }
  process.exit(as ? 0 : 1)
}
main()
JS
node see.cjs

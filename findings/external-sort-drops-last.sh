#!/usr/bin/env bash
# A guess: a file whose last line has no newline is sorted with that line; rows of equal keys keep their order, as Array.prototype.sort does.
# What happens: the last line is dropped, silently. With several runs on disk rows of equal keys change places.
# Seen with: external-sorting 1.3.1, node 20.20.2, Linux x64.
# Who meets it: bulk loads that sort an export first: tools that join lines with "\n" write no last newline.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund external-sorting@1.3.1 >/dev/null || exit 2
cat > see.cjs <<'JS'
const fs = require('node:fs')
const esort = require('external-sorting').default ?? require('external-sorting')
const sort = async (text, options = {}, by = undefined) => {
  fs.writeFileSync('in', text)
  await esort({ input: fs.createReadStream('in'), output: fs.createWriteStream('out'), tempDir: process.cwd(), maxHeap: 50, ...options }).asc(by)
  await new Promise((resolve) => setTimeout(resolve, 100))
  return fs.readFileSync('out', 'utf8').split('\n').filter((line) => line !== '')
}
async function main() {
  const rows = Array.from({ length: 300 }, (_, i) => JSON.stringify({ key: i % 10, place: i }))
  const json = { serializer: JSON.stringify, deserializer: JSON.parse }
  const whole = await sort(rows.join('\n') + '\n', json, (row) => row.key)
  const cut = await sort(rows.join('\n'), json, (row) => row.key)
  let swaps = 0
  whole.map((line) => JSON.parse(line)).reduce((a, b) => { if (a.key === b.key && a.place > b.place) swaps++; return b })
  const lost = rows.filter((row) => !cut.includes(row))
  console.log(`300 lines, newline at the end: ${whole.length} come out, ${swaps} pairs of equal keys have changed places`)
  console.log(`300 lines, no newline at the end: ${cut.length} come out, lost: ${lost}`)
  process.exit(whole.length === 300 && cut.length === 299 && lost[0] === rows[299] ? 0 : 1)
}
main()
JS
node see.cjs

#!/usr/bin/env bash
# A guess: a range bound of undefined is the same as none, or an error, as put(undefined) and get(undefined) are.
# What happens: with the default encoding the bound is the text "undefined", and null is the text "null". clear({ lt: undefined })
#   deletes the keys that sort before the word "undefined" and spares the rest; a scan with { gte: undefined } leaves out the same keys.
#   So "order:1" is deleted and "user:1" is not. No error. The manual says not to take it for "no bound", and does not say this.
# Seen with: classic-level 3.0.0 and memory-level 3.1.0 (abstract-level 3.1.1), node 20.20.2, Linux x64.
# Who meets it: pagination ({ gt: lastKey } on the first page) and retention (clear({ lt: cutoff }) with no cutoff yet).
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund memory-level@3.1.0 classic-level@3.0.0 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { MemoryLevel } from 'memory-level'
import { ClassicLevel } from 'classic-level'
let as = true
for (const db of [new ClassicLevel('store'), new MemoryLevel()]) {
  await db.batch(['invoice:1', 'order:1', 'user:1', 'zone:1'].map((key) => ({ type: 'put', key, value: '' })))
  const page = await db.keys({ gt: undefined }).all()
  const nullPage = await db.keys({ gt: null }).all()
  await db.clear({ lt: undefined })
  const left = await db.keys().all()
  console.log(`${db.constructor.name}: keys({ gt: undefined }): ${page}; keys({ gt: null }): ${nullPage}; left by clear({ lt: undefined }): ${left}`)
  as &&= `${page}` === 'user:1,zone:1' && `${nullPage}` === 'order:1,user:1,zone:1' && `${left}` === 'user:1,zone:1'
  await db.close()
}
process.exitCode = as ? 0 : 1
JS
node see.mjs

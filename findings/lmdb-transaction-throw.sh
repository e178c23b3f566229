#!/usr/bin/env bash
# A guess: when the callback of transaction() throws, the promise is rejected and nothing of it is stored, as with transactionSync().
# What happens: the promise is rejected, and the writes made before the throw are committed. transactionSync() and childTransaction() do
#   roll back, so the same callback is atomic in two of three methods.
# Seen with: lmdb 3.5.6, node 20.20.2, Linux x64.
# Who meets it: transfers and counters whose second step can throw: half of them stays, and a retry does that half twice.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund lmdb@3.5.6 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { open } from 'lmdb'
const db = open({ path: 'store' })
const saw = {}
for (const method of ['transaction', 'childTransaction', 'transactionSync']) {
  await db.put('from', 100)
  await db.put('to', 0)
  let error = 'none'
  try {
    await db[method](() => {
      db.put('from', 0)
      throw new Error('the second step failed')
    })
  } catch (caught) { error = caught.message }
  saw[method] = db.get('from') + db.get('to')
  console.log(`${method}: error "${error}", money that is left of 100: ${saw[method]}`)
}
await db.close()
process.exitCode = saw.transaction === 0 && saw.childTransaction === 100 && saw.transactionSync === 100 ? 0 : 1
JS
node see.mjs

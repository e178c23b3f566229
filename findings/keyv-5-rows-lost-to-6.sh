#!/usr/bin/env bash
# A guess: after an upgrade of Keyv from 5 to 6 the rows that are stored are still found, as the adapter and its file stay the same.
# What happens: Keyv 5 puts namespace and ":" before each key ("keyv:" when no namespace was asked for), Keyv 6 does not do it in this
#   way. Every row written before is a miss, and stays in the file.
# Seen with: keyv 5.6.0, 6.1.0 and keyv-file 5.3.5, node 20.20.2, Linux x64.
# Who meets it: who keeps more than a cache in Keyv: sessions, rate limits, idempotency keys.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund keyv@5.6.0 keyv-six@npm:keyv@6.1.0 keyv-file@5.3.5 >/dev/null || exit 2
cat > see.mjs <<'JS'
import fs from 'node:fs'
import { Keyv as Keyv5 } from 'keyv'
import { Keyv as Keyv6 } from 'keyv-six'
import { KeyvFile } from 'keyv-file'
const saw = []
for (const namespace of [undefined, 'sessions']) {
  const filename = `${namespace ?? 'none'}.json`
  const open = (Keyv) => new Keyv({ store: new KeyvFile({ filename, writeDelay: 0 }), ...(namespace && { namespace }) })
  await open(Keyv5).set('ada', 'row')
  const five = await open(Keyv5).get('ada')
  const six = await open(Keyv6).get('ada')
  console.log(`namespace ${namespace ?? 'not given'}: read by Keyv 5: ${five}, by Keyv 6: ${six}; key in the file: ${fs.readFileSync(filename, 'utf8').match(/[^"]*ada/)}`)
  saw.push(five, six)
}
process.exit(saw[0] === 'row' && saw[1] === undefined && saw[2] === 'row' && saw[3] === undefined ? 0 : 1)
JS
node see.mjs

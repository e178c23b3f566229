#!/usr/bin/env bash
# A guess: a field of two bytes, taken out of a decoded record, costs two bytes and a header once the record is let go of.
# What happens: msgpackr and cbor-x give a Buffer inside a value as a view of the bytes that were decoded. Who keeps the field keeps the
#   whole record in memory. A list of 500 small fields, each of another record of 200 kB, holds 100 MB.
# Seen with: msgpackr 2.1.4 and cbor-x 1.6.9 (option copyBuffers of msgpackr copies), node 20.20.2, Linux x64.
# Who meets it: indexes and caches built from ids and hashes that stand in larger records.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund msgpackr@2.1.4 cbor-x@1.6.9 >/dev/null || exit 2
cat > see.cjs <<'JS'
const name = process.argv[2]
const codec = name === 'copyBuffers' ? new (require('msgpackr').Packr)({ copyBuffers: true }) : require(name)
const held = () => { global.gc(); global.gc(); return process.memoryUsage().arrayBuffers }
const encoded = Buffer.from(codec.encode({ id: Buffer.from('id'), body: Buffer.alloc(200_000) }))
const before = held()
const ids = []
for (let i = 0; i < 500; i++) ids.push(codec.decode(Buffer.from(encoded)).id)
const megabytes = Math.round((held() - before) / 1e6)
console.log(`${name}: ${ids.length} fields of ${ids[0].length} bytes hold ${megabytes} MB`)
const pins = megabytes > 90
process.exit(pins === (name !== 'copyBuffers') ? 0 : 1)
JS
changed=0
for name in msgpackr cbor-x copyBuffers; do node --expose-gc see.cjs $name || changed=1; done
exit $changed

#!/usr/bin/env bash
# A guess: as the manual says, a namespace avoids collisions of keys and lets one clear a certain namespace only, over one store.
# What happens in Keyv 5: the key is namespace + ":" + key, so key "b:c" of namespace "a" is key "c" of "a:b": one overwrites the other.
#   Over a Map, clear() of one namespace empties all. Over one adapter object the last Keyv made sets the adapter's namespace, so clear()
#   of the first deletes the rows of the last and keeps its own. Keyv 6 keeps the keys apart and clears a Map by namespace.
# Seen with: keyv 5.6.0 and 6.1.0 (cache-manager 7.2.9 brings Keyv 5), node 20.20.2, Linux x64.
# Who meets it: programs that give each tenant a namespace of one store.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund keyv@5.6.0 keyv-six@npm:keyv@6.1.0 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { Keyv as Keyv5 } from 'keyv'
import { Keyv as Keyv6 } from 'keyv-six'
// The least an adapter can be: it keeps the namespace that Keyv gives it and clears by it, as the adapters for databases do.
class Adapter {
  opts = {}
  rows = new Map()
  async get(key) { return this.rows.get(key) }
  async set(key, value) { this.rows.set(key, value) }
  async delete(key) { return this.rows.delete(key) }
  async clear() { for (const key of this.rows.keys()) if (key.startsWith(this.namespace + ':')) this.rows.delete(key) }
  on() { return this }
}
const collide = async (Keyv) => {
  const store = new Map()
  const a = new Keyv({ store, namespace: 'a' })
  const ab = new Keyv({ store, namespace: 'a:b' })
  await a.set('b:c', 'of a')
  await ab.set('c', 'of a:b')
  return (await a.get('b:c')) === 'of a' ? 'kept apart' : 'merged'
}
const clear = async (Keyv, store) => {
  const first = new Keyv({ store, namespace: 'first' })
  const last = new Keyv({ store, namespace: 'last' })
  await first.set('key', 'x')
  await last.set('key', 'x')
  await first.clear()
  return [(await first.get('key')) ?? 'gone', (await last.get('key')) ?? 'gone'].join(' and ')
}
const saw = [
  ['Keyv 5, keys', await collide(Keyv5), 'merged'],
  ['Keyv 6, keys', await collide(Keyv6), 'kept apart'],
  ['Keyv 5 on a Map, clear() of the first: rows of first and last', await clear(Keyv5, new Map()), 'gone and gone'],
  ['Keyv 6 on a Map, clear() of the first: rows of first and last', await clear(Keyv6, new Map()), 'gone and x'],
  ['Keyv 5 on one adapter, clear() of the first: rows of first and last', await clear(Keyv5, new Adapter()), 'x and gone'],
]
for (const [label, is] of saw) console.log(`${label}: ${is}`)
process.exitCode = saw.every(([, is, was]) => is === was) ? 0 : 1
JS
node see.mjs

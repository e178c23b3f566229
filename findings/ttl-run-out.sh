#!/usr/bin/env bash
# A guess: an entry whose time to live has run out already (expiry - now is -5 ms) is expired, as it is a few milliseconds earlier.
# What happens: Keyv 6 and Cacheable take a negative time for "no time given" and keep the entry for ever. Keyv 5 and cache-manager, to
#   which the same code was written, expire it, and so do node-cache, quick-lru and cacheable's own CacheableMemory.
# Seen with: keyv 5.6.0 and 6.1.0, cacheable 2.5.0, cache-manager 7.2.9, node-cache 5.1.2, quick-lru 7.3.0, node 20.20.2, Linux x64.
# Who meets it: who stores tokens and sessions with the time that is left of them: one that is late once is valid for ever.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund keyv@5.6.0 keyv-six@npm:keyv@6.1.0 cacheable@2.5.0 cache-manager@7.2.9 node-cache@5.1.2 quick-lru@7.3.0 >/dev/null || exit 2
cat > see.mjs <<'JS'
import { Keyv } from 'keyv'
import { Keyv as Keyv6 } from 'keyv-six'
import { Cacheable, CacheableMemory } from 'cacheable'
import { createCache } from 'cache-manager'
import NodeCache from 'node-cache'
import QuickLru from 'quick-lru'
const caches = {
  'keyv 5': [new Keyv(), 'expired'],
  'keyv 6': [new Keyv6(), 'kept'],
  cacheable: [new Cacheable(), 'kept'],
  CacheableMemory: [new CacheableMemory(), 'expired'],
  'cache-manager': [createCache(), 'expired'],
  'node-cache': [new NodeCache(), 'expired'],
  'quick-lru': [new QuickLru({ maxSize: 9 }), 'expired'],
}
const left = -5
for (const [name, [cache]] of Object.entries(caches)) {
  await cache.set('token', 'valid', name === 'node-cache' ? left / 1000 : name === 'quick-lru' ? { maxAge: left } : left)
}
await new Promise((resolve) => setTimeout(resolve, 300))
let as = true
for (const [name, [cache, was]] of Object.entries(caches)) {
  const is = (await cache.get('token')) === 'valid' ? 'kept' : 'expired'
  console.log(`${name}: set with ${left} ms to live, 0.3 s later: ${is}`)
  as &&= is === was
}
process.exit(as ? 0 : 1)
JS
node see.mjs

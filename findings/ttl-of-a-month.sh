#!/usr/bin/env bash
# A guess: an entry with a time to live of 30 days lives for 30 days.
# What happens: in caches that hand the time to setTimeout, whose limit is 24.8 days, the timer fires after a millisecond and the entry is
#   gone at once. Node prints a TimeoutOverflowWarning that names no key. Other caches beside them keep the entry.
# Seen with: memory-cache 0.2.0 and expiry-map 2.0.0 (gone), node-cache 5.1.2, quick-lru 7.3.0 and lru-cache 11.5.3 (there),
#   node 20.20.2, Linux x64.
# Who meets it: who caches something that is dear to compute "for a month", and computes it every time.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund memory-cache@0.2.0 expiry-map@2.0.0 node-cache@5.1.2 quick-lru@7.3.0 lru-cache@11.5.3 >/dev/null || exit 2
cat > see.mjs <<'JS'
import memoryCache from 'memory-cache'
import expiryMap from 'expiry-map'
import NodeCache from 'node-cache'
import QuickLru from 'quick-lru'
import { LRUCache } from 'lru-cache'
const day = 24 * 3600 * 1000
const ExpiryMap = expiryMap.default ?? expiryMap
const caches = (ms) => ({
  'memory-cache': (() => { const cache = new memoryCache.Cache(); cache.put('key', 1, ms); return () => cache.get('key') })(),
  'expiry-map': (() => { const cache = new ExpiryMap(ms); cache.set('key', 1); return () => cache.get('key') })(),
  'node-cache': (() => { const cache = new NodeCache({ stdTTL: ms / 1000 }); cache.set('key', 1); return () => cache.get('key') })(),
  'quick-lru': (() => { const cache = new QuickLru({ maxSize: 9, maxAge: ms }); cache.set('key', 1); return () => cache.get('key') })(),
  'lru-cache': (() => { const cache = new LRUCache({ max: 9, ttl: ms, ttlAutopurge: true }); cache.set('key', 1); return () => cache.get('key') })(),
})
const saw = {}
for (const days of [20, 30]) {
  const readers = caches(days * day)
  await new Promise((resolve) => setTimeout(resolve, 300))
  const there = Object.keys(readers).filter((name) => readers[name]() === 1)
  console.log(`${days} days to live, 0.3 s later, still there: ${there.join(', ')}`)
  saw[days] = there.join()
}
process.exit(saw[20] === 'memory-cache,expiry-map,node-cache,quick-lru,lru-cache' && saw[30] === 'node-cache,quick-lru,lru-cache' ? 0 : 1)
JS
node --no-warnings see.mjs

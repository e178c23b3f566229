#!/usr/bin/env bash
# A guess: process.memoryUsage() shows in `arrayBuffers` or `external` what a cache of Buffers or a WebAssembly memory takes.
# What happens: it depends on the runtime. 100 MiB of Buffers are 0 in `arrayBuffers` of Bun and Deno (Deno shows them in `external`).
#   100 MiB of WebAssembly memory are in `external` of Node 20 to 24, and in no figure but `rss` of Node 26 and Deno.
# Seen with: node 20.20.2, 24.21.0 and 26.10.0, bun 1.4.5, deno 2.9.6, Linux x64.
# Who meets it: caches that bound themselves by these figures, and dashboards that look for what grows.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
for version in 20.20.2 24.21.0 26.10.0; do
  npm install --loglevel=error --no-audit --no-fund --prefix "n${version%%.*}" "node@$version" >/dev/null || exit 2
done
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 deno@2.9.6 >/dev/null || exit 2
cat > grow.cjs <<'JS'
const mib = 2 ** 20
const keep = []
const grow = {
  buffers: () => { for (let i = 0; i < 100; i++) keep.push(Buffer.alloc(mib, 1)) },
  wasm: () => { const memory = new WebAssembly.Memory({ initial: 1600 }); new Uint8Array(memory.buffer).fill(1); keep.push(memory) },
}
const before = process.memoryUsage()
grow[process.argv[2]]()
const after = process.memoryUsage()
const seen = (name) => Math.round((after[name] - before[name]) / mib) > 50 ? 'seen' : 'not seen'
console.log(`rss ${seen('rss')}, arrayBuffers ${seen('arrayBuffers')}, external ${seen('external')}`)
JS
changed=0
look() { # what it should say, label, command ...
  local want=$1 label=$2 saw; shift 2; saw=$("$@"); echo "$label: $saw"; [ "$saw" = "$want" ] || changed=1
}
both='rss seen, arrayBuffers seen, external seen'
external='rss seen, arrayBuffers not seen, external seen'
nowhere='rss seen, arrayBuffers not seen, external not seen'
for major in 20 24 26; do look "$both" "Node $major, Buffers" "./n$major/node_modules/.bin/node" grow.cjs buffers; done
look "$external" 'Bun, Buffers' node_modules/.bin/bun grow.cjs buffers
look "$external" 'Deno, Buffers' node_modules/.bin/deno run -A grow.cjs buffers
for major in 20 24; do look "$external" "Node $major, WebAssembly" "./n$major/node_modules/.bin/node" grow.cjs wasm; done
look "$nowhere" 'Node 26, WebAssembly' ./n26/node_modules/.bin/node grow.cjs wasm
look "$nowhere" 'Deno, WebAssembly' node_modules/.bin/deno run -A grow.cjs wasm
exit $changed

#!/usr/bin/env bash
# A guess: zstd files may be appended to each other and are read as one, by node:zlib as by the zstd tool, and as node:zlib does for gzip.
# What happens: node:zlib of Node 22 and 24 reads the first frame and drops the rest, in zstdDecompressSync and in the stream, without an error.
#   Node 26, Bun and fzstd read all. Frames of LZ4 fare the same: lz4js and lz4-napi stop after the first. So what a program on Node 26
#   wrote and read back is cut short where a program on Node 24 reads it.
# Seen with: node 24.21.0 and 26.10.0, bun 1.4.5, fzstd 0.1.1, lz4js 0.2.0, lz4-napi 2.10.0, Linux x64.
# Who meets it: logs that are appended frame by frame, and exports that several writers compressed in parts.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; echo '{}' > package.json
npm install --loglevel=error --no-audit --no-fund --prefix n26 node@26.10.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund --prefix n24 node@24.21.0 >/dev/null || exit 2
npm install --loglevel=error --no-audit --no-fund bun@1.4.5 fzstd@0.1.1 lz4js@0.2.0 lz4-napi@2.10.0 >/dev/null || exit 2
cat > see.cjs <<'JS'
const zlib = require('node:zlib')
const { Readable } = require('node:stream')
const part = Buffer.from('one row of the log\n'.repeat(20))
const twice = (compress) => Buffer.concat([compress(part), compress(part)].map((bytes) => Buffer.from(bytes)))
const parts = (bytes) => bytes.length / part.length
async function main() {
  const zstd = twice(zlib.zstdCompressSync)
  const streamed = []
  for await (const chunk of Readable.from([zstd]).pipe(zlib.createZstdDecompress())) streamed.push(chunk)
  const saw = [`gzip ${parts(zlib.gunzipSync(twice(zlib.gzipSync)))}`, `zstd ${parts(zlib.zstdDecompressSync(zstd))}`, `zstd stream ${parts(Buffer.concat(streamed))}`]
  if (process.argv[2] === 'packages') {
    const lz4 = twice(require('lz4js').compress)
    saw.push(`fzstd ${parts(require('fzstd').decompress(zstd))}`, `lz4js ${parts(require('lz4js').decompress(lz4))}`,
      `lz4-napi ${parts(require('lz4-napi').decompressFrameSync(lz4))}`)
  }
  console.log(saw.join(', '))
}
main()
JS
changed=0
look() { local want=$1 label=$2 saw; shift 2; saw=$("$@"); echo "$label, frames read of 2: $saw"; [ "$saw" = "$want" ] || changed=1; }
look 'gzip 2, zstd 1, zstd stream 1, fzstd 2, lz4js 1, lz4-napi 1' 'Node 24' n24/node_modules/.bin/node --no-warnings see.cjs packages
look 'gzip 2, zstd 2, zstd stream 2' 'Node 26' n26/node_modules/.bin/node --no-warnings see.cjs
look 'gzip 2, zstd 2, zstd stream 2' 'Bun' node_modules/.bin/bun see.cjs
exit $changed

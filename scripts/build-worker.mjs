// Makes one text of all that the store's worker runs, in dist/compaction/worker-code.js. Works on what tsc has put into dist/.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = `${root}/dist/compaction/worker-code.js`

if (!existsSync(`${root}/node_modules/esbuild`)) {
  console.error('esbuild is missing, of which the worker\'s code is made. Run "npm ci"')
  process.exit(1)
}
const { build } = await import('esbuild')
const { outputFiles } = await build({
  entryPoints: [`${root}/dist/compaction/worker-main.js`],
  bundle: true,
  write: false,
  // What `new Worker(code, { eval: true })` takes everywhere: Deno knows no import declarations there.
  format: 'cjs',
  platform: 'node',
  target: 'node20.15',
  // Names stay: errors show them.
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
})
const code = `${outputFiles[0].text.trimEnd()}\n//# sourceURL=spillway-worker.js\n`
// Every program holds this, twice: as a text and in V8's copy of the source. Packed it is a third of that.
const packed = deflateRawSync(code, { level: 9 }).toString('base64')
const text = readFileSync(target, 'utf8').replace(/^const PACKED = '[^']*'/m, `const PACKED = '${packed}'`)
if (!text.includes(packed)) throw new Error(`there is no place for the worker's code in ${target}`)
writeFileSync(target, text)

// Runs the packed package in the environments of docs/environments.md: versions of Node, Bun and Deno, bundles and single executables,
// processes with restrictions, versions of TypeScript. Not part of `npm test`: it installs a gigabyte and takes minutes.
//   node scripts/environments.mjs                everything, in a temporary folder
//   node scripts/environments.mjs --tools DIR    keep what is installed in DIR, for the next time
//   node scripts/environments.mjs --only TEXT    the rows whose name or content has it
//   node scripts/environments.mjs --write        put the results into the table of docs/environments.md
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { consumerFolder } from './consumer.mjs'
import { bundles, coreTests, restrictions, runtimes, types } from './environments/cases.mjs'
import { oneWriter } from './environments/one-writer.mjs'
import { install } from './environments/tools.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const PAGE = join(root, 'docs/environments.md')
const { values: options } = parseArgs({ options: { tools: { type: 'string' }, only: { type: 'string', default: '' }, write: { type: 'boolean', default: false } } })

const folder = mkdtempSync(join(tmpdir(), 'spillway-environments-'))
const tools = options.tools ?? join(folder, 'tools')
let failed = 0
try {
  install(tools)
  const consumer = consumerFolder({ '@types/node': join(tools, 'node_modules/@types/node'), 'undici-types': join(tools, 'node_modules/undici-types') })
  try {
    prepare(consumer)
    // What a recipe imports, with what that imports.
    symlinkSync(join(tools, 'node_modules/@rollup'), join(consumer, 'node_modules/@rollup'), 'junction')
    const rows = options.write ? knownRows() : new Map()
    const cases = [...runtimes, ...oneWriter, ...coreTests, ...restrictions, ...bundles(root), ...types]
    for (const { name, what, run } of cases) {
      if (!`${name}, ${what}`.includes(options.only)) continue
      let result
      const startMs = performance.now()
      try {
        result = await run({ root, tools, consumer, folder })
      } catch (error) {
        failed++
        result = `FAILED: ${error.message.trim().split('\n').slice(0, 12).join('\n')}`
      }
      console.log(`${name}: ${result} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`)
      rows.set(keyOf(name, what), `${keyOf(name, what)}${result.split('\n')[0]} | ${new Date().toISOString().slice(0, 10)} |`)
      if (options.write) writeTable(cases.map(({ name, what }) => rows.get(keyOf(name, what))).filter(row => row !== undefined))
    }
  } finally {
    rmSync(consumer, { recursive: true, force: true })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(failed === 0 ? 'all well' : `${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

/** The program of all environments: the smoke of a store, told in JSON. The smoke itself is not part of the package. */
function prepare(consumer) {
  const smoke = join(root, 'dist/store/testing/smoke.js')
  if (!existsSync(smoke)) throw new Error('dist/store/testing/smoke.js is missing. Run "npm run build"')
  cpSync(smoke, join(consumer, 'smoke.mjs'))
  // CommonJS knows no await outside of functions.
  const tail = `
const { directory, options } = JSON.parse(process.env.SMOKE)
smoke(Spillway, directory, options).then(found => {
  const map = new SpillMap({ budget: '16 MiB' })
  map.set('a', 1)
  if (map.get('a') !== 1) throw new Error('the map has lost its entry')
  map.dispose()
  console.log(JSON.stringify(found))
}).catch(({ code, message, stack }) => {
  console.log(JSON.stringify({ code, message, stack }))
})
`
  writeFileSync(join(consumer, 'app.mjs'), `import { Spillway } from 'spillway'\nimport { SpillMap } from 'spillway/collections'\nimport { smoke } from './smoke.mjs'\n${tail}`)
  writeFileSync(join(consumer, 'app.cjs'), `const { Spillway } = require('spillway')\nconst { SpillMap } = require('spillway/collections')\nconst { smoke } = require('./smoke.mjs')\n${tail}`)
}

function keyOf(name, what) {
  return `| ${name} | ${what} | `
}

/** The rows of the page by what they begin with: what does not run this time stays as it is. */
function knownRows() {
  const rows = readFileSync(PAGE, 'utf8').split('\n').filter(line => /^\| .* \| .* \| .* \|/.test(line))
  return new Map(rows.map(row => [/^(?:\| [^|]* ){2}\| /.exec(row)[0], row]))
}

function writeTable(rows) {
  const text = readFileSync(PAGE, 'utf8')
  const table = `| environment | what runs | result | on |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
  const place = /<!-- results -->\n[\s\S]*?<!-- end -->/
  if (!place.test(text)) throw new Error(`${PAGE} has no place for results`)
  writeFileSync(PAGE, text.replace(place, () => `<!-- results -->\nOn ${process.platform} ${process.arch}:\n\n${table}<!-- end -->`))
}

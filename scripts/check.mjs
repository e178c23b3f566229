// Everything that must hold before a change goes in: lint, the rules of the house, tests, the package's shape, the types, the code of the
// documentation, the tables of MEMORY.md, the API reference. Works on what scripts/build.mjs built. Stops at the first failure.
//   node scripts/check.mjs                  all of it
//   node scripts/check.mjs --fast           lint and tests only
//   node scripts/check.mjs --skip tests     all but one
//   node scripts/check.mjs --long           with 400 seeds, and every fault and every denial instead of a sample
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { staleReference } from './api-reference.mjs'
import { compileInstalled } from './consumer.mjs'
import { documentation } from './documentation.mjs'
import { checkExamples } from './examples.mjs'
import { houseRules } from './house-rules.mjs'
import { memoryTables } from './memory-tables.mjs'
import { runNode } from './run-node.mjs'
import { runTests } from './run-tests.mjs'
import { runnableTests } from './test-names.mjs'
import { types } from './types.mjs'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))

const FAST = ['lint', 'house', 'tests']
/** Each returns, or resolves to, what is wrong in a few words, or undefined. */
const STEPS = { lint, house, tests, package: packageShape, types, documentation, memory, examples: () => checkExamples(), reference: staleReference }

const { fast, skip, long } = optionsOf()
if (long) process.env.SPILLWAY_SEEDS ??= '400'
if (!existsSync('dist/index.js') || !existsSync('dist/types/index.d.ts')) {
  console.error('dist/ is missing. Run "npm run build"')
  process.exit(1)
}
for (const [name, step] of Object.entries(STEPS)) {
  if (skip.includes(name) || fast && !FAST.includes(name)) continue
  console.log(`\n== ${name}`)
  const startMs = performance.now()
  const problem = await step()
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  console.log(`== ${name}: ${problem === undefined ? 'ok' : `FAILED, ${problem}`} (${seconds} s)`)
  if (problem !== undefined) process.exit(1)
}

function optionsOf() {
  try {
    const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false }, long: { type: 'boolean', default: false }, skip: { type: 'string', multiple: true, default: [] } } })
    const unknown = values.skip.find(name => !(name in STEPS))
    if (unknown !== undefined) throw new Error(`there is no step ${unknown}, only ${Object.keys(STEPS).join(', ')}`)
    return values
  } catch (error) {
    console.error(`check.mjs: ${error.message}`)
    process.exit(2)
  }
}

function lint() {
  return runNode('node_modules/oxlint/bin/oxlint')
}

function house() {
  return listed(houseRules(), 'a rule of the source is broken')
}

async function memory() {
  return listed(await memoryTables(), 'MEMORY.md does not fit the tables')
}

function listed(problems, what) {
  for (const problem of problems) console.log(problem)
  return problems.length === 0 ? undefined : what
}

function tests() {
  const { files, missing } = runnableTests('.')
  if (missing.length > 0) return `not built: ${missing.join(', ')}. Run "npm run build"`
  return runTests(files)
}

function packageShape() {
  // The prepack script would build again; only the list of files matters here.
  process.env.npm_config_ignore_scripts = 'true'
  return runNode('node_modules/publint/src/cli.js', 'run', '.', '--strict') ?? compiledByUsers()
}

/** What the declarations of the packed package have against a program that uses it. */
function compiledByUsers() {
  return listed(compileInstalled(), 'its declarations do not compile')
}

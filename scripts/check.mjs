// Everything that must hold before a change goes in: lint, tests, the package's shape, the types, the code of the documentation, the API
// reference. Works on what scripts/build.mjs built. Stops at the first failure.
//   node scripts/check.mjs                  all of it
//   node scripts/check.mjs --fast           lint and tests only
//   node scripts/check.mjs --skip tests     all but one
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { staleReference } from './api-reference.mjs'
import { compileInstalled } from './consumer.mjs'
import { documentation } from './documentation.mjs'
import { checkExamples } from './examples.mjs'
import { runNode } from './run-node.mjs'
import { runTests } from './run-tests.mjs'
import { runnableTests } from './test-names.mjs'
import { types } from './types.mjs'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))

const FAST = ['lint', 'tests']
/** Each returns, or resolves to, what is wrong in a few words, or undefined. */
const STEPS = { lint, tests, package: packageShape, types, documentation, examples: () => checkExamples(), reference: staleReference }

const { fast, skip } = optionsOf()
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
    const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false }, skip: { type: 'string', multiple: true, default: [] } } })
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
  const problems = compileInstalled()
  for (const problem of problems) console.log(problem)
  return problems.length === 0 ? undefined : 'its declarations do not compile'
}

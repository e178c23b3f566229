// Builds what changed and runs single test files.
//   npm run test:one store/read/point-reader
//   npm run test:one src/wal/log.test.ts memtable/art -- --test-name-pattern "cut short"
// A name is a path with or without src/ and .test.ts, or an unambiguous part of one. Everything from the first option on is passed to
// `node --test`. Exit code 2: no such file, or several.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { matchingTests, runnableTest, testNames } from './test-names.mjs'

const MAX_SHOWN = 20
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const given = process.argv.slice(2)
const firstOption = given.findIndex(arg => arg.startsWith('-'))
const wanted = firstOption === -1 ? given : given.slice(0, firstOption)
const options = firstOption === -1 ? [] : given.slice(firstOption).filter(arg => arg !== '--')
if (wanted.length === 0) fail('which test? npm run test:one store/read/point-reader')

const names = testNames(root)
const files = new Set()
for (const name of wanted) {
  const found = matchingTests(name, names, root)
  if (found.length === 0) fail(`no test file matches ${JSON.stringify(name)}`)
  if (found.length > 1) {
    const more = found.length > MAX_SHOWN ? [`... and ${found.length - MAX_SHOWN} more`] : []
    fail(`${JSON.stringify(name)} matches ${found.length} test files:\n${[...found.slice(0, MAX_SHOWN), ...more].map(line => `  ${line}`).join('\n')}`)
  }
  files.add(runnableTest(found[0]))
}

if (!existsSync(join(root, 'node_modules/typescript'))) fail('the development dependencies are not installed. Run "npm ci"')
if (run('scripts/build.mjs') !== 0) fail('the build failed, so no test was run')
const missing = [...files].filter(file => !existsSync(join(root, file)))
if (missing.length > 0) fail(`not built: ${missing.join(', ')}. Run "npm run build"`)
const reporter = options.some(option => option.startsWith('--test-reporter')) ? [] : ['--test-reporter=spec']
process.exit(run('--test', ...reporter, ...options, ...files))

function run(...args) {
  const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (error) console.error(error.message)
  return status ?? 1
}

function fail(message) {
  console.error(message)
  process.exit(2)
}

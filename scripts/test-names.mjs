// The test files of the project, by their names: "store/read/point-reader" is src/store/read/point-reader.test.ts, "scripts/examples" is
// scripts/examples.test.mjs.
import { existsSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

/** Names of all test files, sorted. */
export function testNames(root) {
  return [...namesIn(root, 'src', '.test.ts').map(name => name.replace(/^src\//, '')), ...namesIn(root, 'scripts', '.test.mjs')].sort()
}

function namesIn(root, folder, ending) {
  const names = []
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(ending)) continue
    names.push(relative(root, join(entry.parentPath ?? entry.path, entry.name)).replaceAll('\\', '/').slice(0, -ending.length))
  }
  return names.filter(name => !name.includes('node_modules/'))
}

/** The file that node runs, relative to the root. */
export function runnableTest(name) {
  return name.startsWith('scripts/') ? `${name}.test.mjs` : `dist/${name}.test.js`
}

/** The files to run, and those that were not built. Goes by the sources, so that a stale file in dist/ is not run. */
export function runnableTests(root) {
  const files = testNames(root).map(runnableTest)
  return { files: files.filter(file => existsSync(join(root, file))), missing: files.filter(file => !existsSync(join(root, file))) }
}

/**
 * The names that `given` may mean: the same name, else those that end with it after a slash, else those that contain it. A path may begin
 * with src/ or dist/ and have any of the endings.
 */
export function matchingTests(given, names, root) {
  const path = relative(root, resolve(root, given)).replaceAll('\\', '/')
  const wanted = path.replace(/^(?:src|dist)\//, '').replace(/(?:\.test)?\.m?[jt]s$|\.test$/, '')
  if (wanted === '') return []
  if (names.includes(wanted)) return [wanted]
  const ending = names.filter(name => name.endsWith(`/${wanted}`))
  return ending.length > 0 ? ending : names.filter(name => name.includes(wanted))
}

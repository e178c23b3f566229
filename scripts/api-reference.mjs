// Generates docs/api/ from the public declarations in dist/types/ with TypeDoc, which has its own package in scripts/api-docs/ and is installed when
// first needed. docs/api/sources.json holds the hashes of the declarations and the pages, so that `npm test` finds stale pages without TypeDoc.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const PAGES = join(root, 'docs/api')
const TOOL = join(root, 'scripts/api-docs')
const SOURCES = join(PAGES, 'sources.json')
const TOOL_FILES = ['intro.md', 'module-names.mjs', 'package-lock.json', 'tsconfig.json', 'typedoc.json']

/** What is wrong with docs/api/ in a few words, or undefined. */
export function staleReference() {
  const stored = existsSync(SOURCES) ? JSON.parse(readFileSync(SOURCES, 'utf8')) : {}
  const { declarations, pages } = hashes()
  if (stored.declarations !== declarations) return 'docs/api/ is stale. Run "npm run docs:api"'
  if (stored.pages !== pages) return 'docs/api/ was changed by hand. Run "npm run docs:api"'
  return undefined
}

function hashes() {
  const types = filesIn(join(root, 'dist/types'), '.d.ts')
  return { declarations: hashOf([...types, ...TOOL_FILES.map(name => join(TOOL, name))]), pages: hashOf(filesIn(PAGES, '.md')) }
}

/** Over paths and contents, independent of line ends. */
function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(`${file.slice(root.length)}\n`)
    hash.update(readFileSync(file, 'utf8').replaceAll('\r\n', '\n'))
  }
  return hash.digest('hex')
}

function filesIn(folder, ending) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => join(entry.parentPath ?? entry.path, entry.name).replaceAll('\\', '/')).sort()
}

function generate() {
  const stamp = join(TOOL, 'node_modules/.package-lock.json')
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(join(TOOL, 'package-lock.json')).mtimeMs) {
    console.log('Installing TypeDoc (npm ci) ...')
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], process.platform === 'win32')
  }
  run(process.execPath, ['node_modules/typedoc/bin/typedoc'])
  writeFileSync(SOURCES, `${JSON.stringify(hashes(), undefined, 2)}\n`)
  console.log(`${filesIn(PAGES, '.md').length} pages in docs/api/`)
}

function run(command, args, shell = false) {
  const { status, error } = spawnSync(command, args, { cwd: TOOL, stdio: 'inherit', shell })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate()

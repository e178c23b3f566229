// Everything that must hold before a change goes in: lint, tests, the package's shape, the code blocks of the documentation.
// Works on what scripts/build.mjs built. Stops at the first failure.
//   node scripts/check.mjs          all of it
//   node scripts/check.mjs --fast   lint and tests only
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileInstalled } from './consumer.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(root)

const flags = process.argv.slice(2)
const unknown = flags.filter(flag => flag !== '--fast')
if (unknown.length > 0) {
  console.error(`check.mjs does not know ${unknown.join(' ')}; it takes --fast only`)
  process.exit(2)
}

const steps = [['lint', lint], ['tests', tests]]
if (!flags.includes('--fast')) steps.push(['package', packageShape], ['types', types], ['documentation', documentation])

for (const [name, step] of steps) {
  console.log(`\n== ${name}`)
  const startMs = performance.now()
  const problem = step()
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  console.log(`== ${name}: ${problem === undefined ? 'ok' : `FAILED, ${problem}`} (${seconds} s)`)
  if (problem !== undefined) process.exit(1)
}

// Each step returns what is wrong in a few words, or undefined.

function lint() {
  return run('node_modules/oxlint/bin/oxlint')
}

function tests() {
  // A test file left in dist/ by a source that is gone is not run; a source that was not built is not forgotten.
  const wanted = new Set(walk('src', '.test.ts').map(path => path.replace(/^src/, 'dist').replace(/\.ts$/, '.js')))
  const files = walk('dist', '.test.js').filter(path => wanted.delete(path))
  if (wanted.size > 0) return `not built: ${[...wanted].join(', ')}. Run "npm run build"`
  if (files.length === 0) return 'no test files found'
  const reporter = process.stdout.isTTY ? 'spec' : './scripts/short-reporter.mjs'
  return run('--test', '--test-concurrency=2', '--test-timeout=600000', `--test-reporter=${reporter}`, ...files)
}

function packageShape() {
  const missing = missingBuild()
  if (missing !== undefined) return missing.problem
  // The prepack script would build again; only the list of files matters here.
  process.env.npm_config_ignore_scripts = 'true'
  return run('node_modules/publint/src/cli.js', 'run', '.', '--strict') ?? compiledByUsers()
}

/** What the declarations of the packed package have against a program that uses it. */
function compiledByUsers() {
  const problems = compileInstalled()
  for (const problem of problems) console.log(problem)
  return problems.length === 0 ? undefined : 'its declarations do not compile'
}

/** Compiles every fenced TypeScript block of README.md and docs/*.md that imports spillway, against the built declarations. */
function documentation() {
  const pages = [...existsSync('README.md') ? ['README.md'] : [], ...walk('docs', '.md')]
  const folder = 'node_modules/.cache/spillway-documentation'
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const files = []
  for (const page of pages) {
    for (const { line, code } of codeBlocks(readFileSync(page, 'utf8'))) {
      const file = `${page.replaceAll('/', '-')}.${line}.ts`
      // Blank lines first, so that the compiler's line numbers are those of the page.
      writeFileSync(join(folder, file), '\n'.repeat(line) + code)
      files.push(file)
    }
  }
  console.log(`${files.length} code blocks in ${pages.length} pages`)
  if (files.length === 0) return undefined
  const missing = missingBuild()
  if (missing !== undefined) return missing.problem

  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return compile(join(folder, 'tsconfig.json'), { target: 'es2023', lib: ['es2024', 'esnext.disposable'] }, files)
}

/**
 * Compiles scripts/consumer/, programs that use the types, against the built declarations, as programs with other settings would: what the
 * libraries of newer versions add to Map and Set, and whether an optional property may be undefined.
 */
function types() {
  const missing = missingBuild()
  if (missing !== undefined) return missing.problem
  const sources = readdirSync('scripts/consumer').filter(name => name.endsWith('.ts'))
  const cache = 'node_modules/.cache/spillway-types'
  rmSync(cache, { recursive: true, force: true })
  for (const [lib, exact] of [['es2022', true], ['es2023', false], ['es2024', true], ['es2025', true], ['esnext', true], ['esnext', false]]) {
    const folder = join(cache, `${lib}-${exact ? 'exact' : 'loose'}`)
    mkdirSync(folder, { recursive: true })
    const files = sources.filter(name => exact || !name.includes('.exact.'))
    for (const name of files) writeFileSync(join(folder, name), readFileSync(join('scripts/consumer', name)))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
    const problem = compile(join(folder, 'tsconfig.json'), { target: 'es2022', lib: [lib], exactOptionalPropertyTypes: exact, allowImportingTsExtensions: true }, files)
    if (problem !== undefined) return `${lib}${exact ? '' : ' without exactOptionalPropertyTypes'}: ${problem}`
  }
  return undefined
}

/** Compiles files beside a tsconfig.json that is made for them; 'spillway' and its subpaths are what was built. */
function compile(config, options, files) {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  const up = '../'.repeat(dirname(config).replaceAll('\\', '/').split('/').length)
  const paths = {}
  for (const [name, target] of Object.entries(exports)) {
    if (target.types) paths[join('spillway', name)] = [`${up}${target.types}`]
  }
  writeFileSync(config, JSON.stringify({
    compilerOptions: { module: 'nodenext', types: ['node'], strict: true, skipLibCheck: true, noEmit: true, paths, ...options },
    files,
  }, undefined, 2))
  return run('node_modules/typescript/bin/tsc', '-p', config)
}

/** Line of the opening fence (from 1) and content of every ```ts block that imports spillway. */
function codeBlocks(text) {
  const blocks = []
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)(```+|~~~+) *(\w*)/.exec(lines[i])
    if (fence === null) continue
    const [, , mark, language] = fence
    const start = i + 1
    for (i = start; i < lines.length && lines[i].trim() !== mark; i++);
    const code = lines.slice(start, i).join('\n') + '\n'
    if (!/^(ts|typescript)$/i.test(language) || !/\bimport\b[^'"]*['"]spillway(\/[\w/-]+)?['"]/.test(code)) continue
    blocks.push({ line: start, code })
  }
  return blocks
}

/** Undefined when the library is built; otherwise the problem, which is none while there is no library yet. */
function missingBuild() {
  if (existsSync('dist/index.js') && existsSync('dist/types/index.d.ts')) return undefined
  if (existsSync('src/index.ts')) return { problem: 'dist/index.js is missing. Run "npm run build"' }
  console.log('skipped: there is no src/index.ts')
  return { problem: undefined }
}

function walk(folder, ending) {
  if (!existsSync(folder)) return []
  const found = []
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(ending)) continue
    found.push(join(entry.parentPath ?? entry.path, entry.name).replaceAll('\\', '/'))
  }
  return found.sort()
}

/** Runs node with these arguments; undefined when it succeeds. */
function run(...args) {
  const { status, signal, error } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (error) return error.message
  return status === 0 ? undefined : signal === null ? `exit code ${status}` : `killed by ${signal}`
}

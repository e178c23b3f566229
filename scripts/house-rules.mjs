// Rules of the source that no linter has: the size of files and classes, a README for every room, and turns of phrase that readers
// stumble over. `npm test` runs them.
//   node scripts/house-rules.mjs
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAX_LINES = 400
const MAX_FIELDS = 20
const MAX_FLAT_FILES = 12

/** Each with what to write instead. Words that are part of code are not looked at. */
const IDIOMS = [
  [/\b(?:nobody|somebody|whoever|everybody|anybody)\b/i, 'name the caller, store, process or thread'],
  [/\b(?:at most |up to |about |every |by |after |of )so many\b/i, 'give the number, or N'],
  [/\bSo many (?:bytes|fields|tables|runs|keys|rows|entries|steps)\b/, 'give the number, or N'],
  [/\bfor want of\b/i, 'without'],
  [/\bin vain\b/i, 'without effect'],
  [/\banew\b/i, 'again'],
  [/\bof late\b/i, 'recently'],
  [/\bof no account\b/i, 'ignored'],
  [/\bbeside the thread\b/i, 'off the main thread'],
  [/\b(?:nothing|all|none|everything|what|any|one|those|each)[ ,]+but for\b/i, 'except'],
  [/\/\*\* (?:The same|As `)/, 'a docstring must be readable alone'],
  [/\bthose who\b/i, 'name the part'],
  [/\bMend\b/, 'fix'],
]
/** Quoted from elsewhere. */
const QUOTED = /Nobody inspects the spammish repetition/

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export function houseRules() {
  const problems = []
  const sources = walk('src').filter(file => file.endsWith('.ts'))
  for (const file of sources) {
    if (/\.(?:test|bench|fuzz)\.ts$/.test(file) || file.includes('/testing/')) continue
    const lines = read(file).split('\n')
    if (lines.length > MAX_LINES) problems.push(`${file}: ${lines.length} lines, at most ${MAX_LINES}. Divide it by concepts`)
    if (!file.includes('/assembly/')) problems.push(...classesOf(file, lines))
  }
  const flat = sources.filter(file => /^src\/store\/[^/]+\.ts$/.test(file) && !file.endsWith('.test.ts'))
  if (flat.length > MAX_FLAT_FILES) problems.push(`src/store/: ${flat.length} files beside its rooms, at most ${MAX_FLAT_FILES}`)
  problems.push(...rooms(), ...idioms(sources))
  return problems
}

/** Fields are counted by their declarations, in the style of this project. */
function classesOf(file, lines) {
  const problems = []
  let name
  let fields = 0
  for (const line of lines) {
    const start = /^(?:export )?(?:abstract )?class (\w+)/.exec(line)
    if (start !== null) {
      name = start[1]
      fields = 0
    } else if (name !== undefined && line === '}') {
      if (fields > MAX_FIELDS) problems.push(`${file}: class ${name} has ${fields} fields, at most ${MAX_FIELDS}. Divide it by concepts`)
      name = undefined
    } else if (name !== undefined && /^ {2}(?:declare |static |override |readonly )*#?\w+[!?]?(?:: [^()]*| = .*|: .*)?$/.test(line)) {
      fields++
    }
  }
  return problems
}

/** Every folder of src/ and src/store/ says what it is, and names files that exist. */
function rooms() {
  const problems = []
  const folders = ['src', 'src/store'].flatMap(parent =>
    readdirSync(join(root, parent), { withFileTypes: true }).filter(entry => entry.isDirectory()).map(entry => `${parent}/${entry.name}`))
  for (const folder of folders) {
    if (folder === 'src/store/testing') continue
    const readme = `${folder}/README.md`
    if (!existsSync(join(root, readme))) {
      problems.push(`${readme} is missing: what lives there, in which order to read it, what it may import`)
      continue
    }
    for (const [, name] of read(readme).matchAll(/`([a-z\d./-]+\.ts)`/g)) {
      if (!existsSync(join(root, folder, name))) problems.push(`${readme} names ${name}, which does not exist`)
    }
  }
  for (const [, name] of read('ARCHITECTURE.md').matchAll(/`((?:[a-z\d-]+\/)+[a-z\d-]+\.ts)`/g)) {
    if (!['src', 'src/store'].some(folder => existsSync(join(root, folder, name)))) problems.push(`ARCHITECTURE.md names ${name}, which does not exist`)
  }
  return problems
}

function idioms(sources) {
  const problems = []
  const pages = ['README.md', 'ARCHITECTURE.md', 'MEMORY.md', 'FORMAT.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...walk('docs').filter(file => file.endsWith('.md'))]
  const scripts = ['scripts', 'bench', 'examples'].flatMap(walk).filter(file => file.endsWith('.mjs') && file !== 'scripts/house-rules.mjs')
  for (const file of [...sources, ...scripts, ...pages]) {
    if (!existsSync(join(root, file))) continue
    read(file).split('\n').forEach((line, i) => {
      if (QUOTED.test(line)) return
      const text = file.endsWith('.md') ? line : prose(line)
      for (const [pattern, instead] of IDIOMS) {
        const found = pattern.exec(text)
        if (found !== null) problems.push(`${file}:${i + 1}: "${found[0]}" (${instead})`)
      }
    })
  }
  return problems
}

/** Comments and texts of a line of code: what is outside of both is left out. */
function prose(line) {
  const comment = /^\s*(?:\/?\*|\/\/)/.test(line) ? line : /\s\/\/ .*$/.exec(line)?.[0] ?? ''
  const texts = comment === line ? [] : line.match(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`/g) ?? []
  return [comment, ...texts].join(' ')
}

function walk(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory() ? entry.name === 'node_modules' ? [] : walk(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`])
}

function read(file) {
  return readFileSync(join(root, file), 'utf8')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = houseRules()
  for (const problem of problems) console.log(problem)
  if (problems.length > 0) process.exit(1)
}

// Makes dist/types/ of the declarations that tsc has put into dist/: of each file only what the package's entry points reach.
// What is left is what users' compilers look at. Internal types that no public one names are not there, so nothing that
// `stripInternal` has taken away can be missed.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const ENTRIES = ['index.d.ts', 'collections/index.d.ts', 'toolkit/index.d.ts']

/** What the library of TypeScript 5.4 does not have, and the same in its terms. */
const NEWER = [
  [/\bMapIterator<((?:[^<>]|<[^<>]*>)*)>/g, "ReturnType<Map<any, $1>['values']>"],
  [/\bSetIterator<((?:[^<>]|<[^<>]*>)*)>/g, "ReturnType<Set<$1>['values']>"],
]

/** By path: its statements, each with the names it declares, brings in or hands on, and whether it is wanted. */
const files = new Map()

for (const entry of ENTRIES) {
  for (const statement of fileOf(entry).statements) want(entry, statement)
}
rmSync(join(dist, 'types'), { recursive: true, force: true })
for (const [path, { statements }] of files) {
  const text = statements.filter(statement => statement.isWanted).map(print).join('')
  if (text === '') continue
  const target = join(dist, 'types', path)
  mkdirSync(dirname(target), { recursive: true })
  // A file without imports and exports would be a script, whose names are global.
  writeFileSync(target, /^(import|export)\b/m.test(text) ? text : `${text}export {};\n`)
}

function fileOf(path) {
  let file = files.get(path)
  if (file === undefined) {
    file = { statements: split(readFileSync(join(dist, path), 'utf8')).map(parse) }
    files.set(path, file)
  }
  return file
}

/** Of the compiler's output: a statement begins at the margin, with the comment before it. */
function split(text) {
  const statements = []
  let isComment = false
  let continues = false
  for (const line of text.split('\n')) {
    const begins = /^[^\s})\]]/.test(line) && !isComment
    if (begins && !continues) statements.push([])
    statements.at(-1)?.push(line)
    if (line.startsWith('/*')) isComment = true
    continues = begins ? isComment : continues
    if (isComment && line.includes('*/')) {
      isComment = false
      continues = true
    } else if (!isComment) {
      continues = false
    }
  }
  return statements.map(lines => `${lines.join('\n').trimEnd()}\n`)
}

function parse(text) {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').trim()
  const from = /^(import|export)\s+(?:type\s+)?\{([^}]*)\}\s*(?:from\s*['"]([^'"]+)['"])?/.exec(code)
  if (from !== null) {
    const isType = /^(import|export)\s+type\b/.test(code)
    const names = from[2].split(',').map(name => name.trim()).filter(name => name !== '').map(name => {
      const [, remote, local = remote] = /^(?:type\s+)?(\S+)(?:\s+as\s+(\S+))?$/.exec(name)
      return { remote, local }
    })
    return { text, kind: from[1], isType, names, module: from[3], used: new Set(), isWanted: false }
  }
  const declared = /^(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:class|interface|type|const|let|var|function|enum|namespace)\s+([\w$]+)/.exec(code)
  if (declared === null && code !== '') throw new Error(`this is a declaration that build-types.mjs does not know:\n${text}`)
  const words = new Set(code.replace(/'[^'\n]*'|"[^"\n]*"/g, '').match(/[A-Za-z_$][\w$]*/g) ?? [])
  return { text, kind: 'declaration', name: declared?.[1], words, isWanted: false }
}

function want(path, statement) {
  if (statement.kind !== 'declaration') {
    for (const { local } of statement.names) use(path, statement, local)
    return
  }
  if (statement.isWanted) return
  statement.isWanted = true
  for (const word of statement.words) name(path, word)
}

/** A name as it is known in that file. */
function name(path, word) {
  for (const statement of fileOf(path).statements) {
    if (statement.kind === 'declaration') {
      if (statement.name === word) want(path, statement)
    } else if (statement.kind === 'import' && statement.names.some(({ local }) => local === word)) {
      use(path, statement, word)
    }
  }
}

/** A name that an import or export statement has. */
function use(path, statement, local) {
  if (statement.used.has(local)) return
  statement.used.add(local)
  statement.isWanted = true
  const { remote } = statement.names.find(known => known.local === local)
  if (statement.module === undefined) name(path, remote)
  else if (statement.module.startsWith('.')) exported(join(dirname(path), statement.module.replace(/\.[jt]s$/, '.d.ts')), remote)
}

function exported(path, word) {
  let isFound = false
  for (const statement of fileOf(path).statements) {
    if (statement.kind === 'declaration' ? statement.name === word : statement.kind === 'export' && statement.names.some(({ local }) => local === word)) {
      isFound = true
      if (statement.kind === 'declaration') want(path, statement)
      else use(path, statement, word)
    }
  }
  if (!isFound) throw new Error(`${word} is not declared in dist/${path}: is it public and marked @internal?`)
}

function print(statement) {
  if (statement.kind === 'declaration') return NEWER.reduce((text, [known, replacement]) => text.replace(known, replacement), statement.text)
  const names = statement.names.filter(({ local }) => statement.used.has(local)).map(({ remote, local }) => remote === local ? local : `${remote} as ${local}`)
  const module = statement.module === undefined ? '' : ` from '${statement.module.replace(/^(\..*)\.ts$/, '$1.js')}'`
  const comment = /^\/\*[\s\S]*?\*\/\n?/.exec(statement.text)?.[0] ?? ''
  return `${comment}${statement.kind} ${statement.isType ? 'type ' : ''}{ ${names.join(', ')} }${module};\n`
}

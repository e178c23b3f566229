// Compiles and runs every `@example` of the public declarations, each as a module in its own process and temporary directory.
//
// Each ```ts block after `@example` is an example, or, without a block, the whole text. In scope are the exported names of 'spillway' and
// 'spillway/collections', and `db`: an open store whose keys and values are text. A name that the example declares itself is left to it.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { compile } from './compile.mjs'

const MODULES = { 'spillway': 'dist/types/index.d.ts', 'spillway/collections': 'dist/types/collections/index.d.ts', 'spillway/memory': 'dist/types/toolkit/index.d.ts' }
const STORE = 'db'
const CONCURRENCY = 2
const TIMEOUT_MS = 30_000

/** Checks the examples of the declarations in `types`; `folder` is made again. Resolves to what is wrong in a few words, or undefined. */
export async function checkExamples({ types = 'dist/types', folder = 'node_modules/.cache/spillway-examples', print = console.log } = {}) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const exported = exportsOf()
  const examples = declarationFiles(types).flatMap(file => examplesOf(readFileSync(file, 'utf8')).map(example => ({ ...example, file })))
  const programs = examples.map(({ file, line, code }) => ({ place: `${slashed(file)}:${line}`, name: nameOf(slashed(relative(types, file)), line), text: programOf(code, line, exported) }))
  print(`${programs.length} examples`)
  for (const { name, text } of programs) writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  if (programs.length === 0) return undefined
  return compile(join(folder, 'tsconfig.json'), { target: 'es2023', lib: ['es2024', 'esnext.disposable'] }, programs.map(({ name }) => name)) ?? await runAll(programs, print)
}

/** The modules and their names. A name that both have belongs to the first. */
function exportsOf() {
  const taken = new Set()
  return Object.entries(MODULES).map(([module, file]) => {
    const names = exportedNames(readFileSync(file, 'utf8')).filter(name => !taken.has(name))
    for (const name of names) taken.add(name)
    return { module, names }
  })
}

/** Name of the program of an example. With ".d." in it the compiler would take it for declarations and skip it. */
function nameOf(file, line) {
  return `${file.replace(/\.d\.ts$/, '').replaceAll('/', '-')}.${line}.ts`
}

/** The examples of a file: their code, and the line, from 1, on which it begins. */
export function examplesOf(text) {
  const found = []
  for (const comment of text.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const firstLine = lineAt(text, comment.index)
    const lines = comment[0].slice(3, -2).split(/\r?\n/).map(line => line.replace(/^\s*\* ?/, ''))
    for (let i = 0; i < lines.length; i++) {
      const tag = /^\s*@example\b(.*)/.exec(lines[i])
      if (tag === null) continue
      let end = i + 1
      for (let isFenced = false; end < lines.length && (isFenced || !/^\s*@\w/.test(lines[end])); end++) if (/^\s*```/.test(lines[end])) isFenced = !isFenced
      const body = [tag[1], ...lines.slice(i + 1, end)]
      const blocks = fencedBlocks(body)
      if (blocks.length === 0) blocks.push({ at: 0, code: body.join('\n') })
      for (const { at, code } of blocks) if (code.trim() !== '') found.push({ line: firstLine + i + at, code })
      i = end - 1
    }
  }
  return found
}

function fencedBlocks(lines) {
  const blocks = []
  for (let i = 0; i < lines.length; i++) {
    const fence = /^\s*```+ *(\w*)/.exec(lines[i])
    if (fence === null) continue
    const start = i + 1
    for (i = start; i < lines.length && !/^\s*```+\s*$/.test(lines[i]); i++);
    if (/^(?:ts|typescript)?$/.test(fence[1])) blocks.push({ at: start, code: lines.slice(start, i).join('\n') })
  }
  return blocks
}

/** Line numbers of the compiler and of stacks are those of the declarations. */
function programOf(code, line, exported) {
  const needs = name => new RegExp(`(?<![\\w$.])${name}\\b`).test(code) && !declares(code, name)
  const imports = exported.map(({ module, names }) => [module, names.filter(needs)]).filter(([, names]) => names.length > 0)
  const usesStore = needs(STORE)
  if (usesStore && !imports.some(([, names]) => names.includes('Spillway')) && !declares(code, 'Spillway')) imports.push(['spillway', ['Spillway']])
  const before = imports.map(([module, names]) => `import { ${names.join(', ')} } from '${module}'; `).join('')
  const opened = usesStore ? `const ${STORE} = await Spillway.open('${STORE}'); ` : ''
  const closed = usesStore ? `\nawait ${STORE}.close()` : ''
  return `${before}${opened}${'\n'.repeat(line - 1)}${code}${closed}\nexport {}\n`
}

/** Whether a declaration or an import at the margin has that name. */
function declares(code, name) {
  return new RegExp(`^(?:export )?(?:await )?(?:const|let|var|using|function|class|type|interface)\\b[^=(\\n]*\\b${name}\\b`, 'm').test(code)
    || new RegExp(`^import\\b[^'"]*\\b${name}\\b`, 'm').test(code)
}

/** The names an entry point exports. */
export function exportedNames(text) {
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) => list.split(',').map(name => name.trim().replace(/^.* as /, '')).filter(name => name !== ''))
}

async function runAll(programs, print) {
  const { transform } = await import('esbuild')
  const folder = mkdtempSync(join(tmpdir(), 'spillway-examples-'))
  const failed = []
  try {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(resolve('.'), join(folder, 'node_modules/spillway'), 'junction')
    const waiting = [...programs]
    const runNext = async () => {
      for (let program = waiting.shift(); program !== undefined; program = waiting.shift()) {
        const { code } = await transform(program.text, { loader: 'ts', format: 'esm', target: 'node20.15', sourcefile: program.place.replace(/:\d+$/, ''), sourcemap: 'inline' })
        const problem = await runOne(mkdtempSync(join(folder, 'example-')), code)
        if (problem !== undefined) failed.push(`${program.place}: ${problem}`)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, runNext))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  for (const text of failed.sort()) print(text)
  return failed.length === 0 ? undefined : `${failed.length} of ${programs.length} examples`
}

/** Resolves to what is wrong with that module, undefined: nothing. */
function runOne(directory, code) {
  const file = join(directory, 'example.mjs')
  writeFileSync(file, code)
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--enable-source-maps', file], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
    let err = ''
    child.stderr.setEncoding('utf8').on('data', text => { err += text })
    child.on('error', error => resolve(error.message))
    child.on('close', (status, signal) => {
      resolve(status === 0 ? undefined : `${signal === null ? `exit code ${status}` : `killed by ${signal} after ${TIMEOUT_MS / 1000} s`}\n${err.trim()}`)
    })
  })
}

function declarationFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && entry.name.endsWith('.d.ts'))
    .map(entry => join(entry.parentPath ?? entry.path, entry.name)).sort()
}

function slashed(path) {
  return path.replaceAll('\\', '/')
}

function lineAt(text, index) {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

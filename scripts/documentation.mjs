// Compiles the code blocks of README.md and docs/, so that what they show is true.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from './compile.mjs'

/** Compiles every fenced TypeScript block of README.md and docs/ that imports spillway, against the built declarations. docs/api/ is made of them: see examples.mjs. */
export function documentation() {
  const pages = [...existsSync('README.md') ? ['README.md'] : [], ...walk('docs', '.md').filter(page => !page.startsWith('docs/api/'))]
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
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return compile(join(folder, 'tsconfig.json'), { target: 'es2023', lib: ['es2024', 'esnext.disposable'] }, files)
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

function walk(folder, ending) {
  if (!existsSync(folder)) return []
  const found = []
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(ending)) continue
    found.push(join(entry.parentPath ?? entry.path, entry.name).replaceAll('\\', '/'))
  }
  return found.sort()
}

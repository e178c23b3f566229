// Writes the tables of MEMORY.md from src/memory/accounts.ts and src/memory/reclaim-order.ts, as built.
//   node scripts/memory-tables.mjs            rewrite them
//   node scripts/memory-tables.mjs --check    exit 1 when they are stale, or name a file that does not exist
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** What is wrong with MEMORY.md, as lines of text; with `write` stale tables are rewritten first. */
export async function memoryTables({ write = false } = {}) {
  const { ACCOUNTS } = await import(pathToFileURL(`${root}/dist/memory/accounts.js`).href)
  const { RECLAIM_ORDER } = await import(pathToFileURL(`${root}/dist/memory/reclaim-order.js`).href)
  const problems = []
  for (const [name, { where, tests }] of Object.entries(ACCOUNTS)) {
    for (const file of [...where, ...tests]) if (!existsSync(`${root}/src/${file}`)) problems.push(`account "${name}" names src/${file}, which does not exist`)
    if (tests.length === 0) problems.push(`account "${name}" has no test`)
  }
  const files = list => list.map(file => `\`${file}\``).join(', ')
  const tables = {
    accounts: [
      ['account', 'holds', 'bound', 'where', 'test'],
      ...Object.entries(ACCOUNTS).map(([name, { holds, limit, where, tests }]) => [name, holds, limit, files(where), files(tests)]),
    ],
    reclaim: [
      ['order', 'takes back', 'cost of restoring it'],
      ...Object.values(RECLAIM_ORDER).sort((a, b) => a.order - b.order).map(({ order, takes, cost }) => [String(order), takes, cost]),
    ],
  }
  const page = `${root}/MEMORY.md`
  const before = readFileSync(page, 'utf8')
  let after = before
  for (const [name, rows] of Object.entries(tables)) {
    const [titles, ...body] = rows.map(row => `| ${row.join(' | ')} |`)
    const table = [titles, `|${' --- |'.repeat(rows[0].length)}`, ...body].join('\n')
    const marked = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(<!-- end -->)`)
    if (!marked.test(after)) problems.push(`MEMORY.md has no place for the table "${name}"`)
    after = after.replace(marked, (_, start, end) => `${start}${table}\n${end}`)
  }
  if (after !== before) {
    if (write) writeFileSync(page, after)
    else problems.push('MEMORY.md is stale. Run "npm run build && node scripts/memory-tables.mjs"')
  }
  return problems
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = await memoryTables({ write: !process.argv.includes('--check') })
  for (const problem of problems) console.error(problem)
  process.exit(problems.length === 0 ? 0 : 1)
}

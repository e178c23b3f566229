import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkExamples, examplesOf, exportedNames } from './examples.mjs'

const folders = mkdtempSync(join(tmpdir(), 'spillway-example-tests-'))
const cache = 'node_modules/.cache/spillway-example-tests'
after(() => {
  rmSync(folders, { recursive: true, force: true })
  rmSync(cache, { recursive: true, force: true })
})

/** What is wrong with a declaration that has this comment, and what was printed. */
async function checked(...lines) {
  const types = mkdtempSync(join(folders, 'types-'))
  mkdirSync(types, { recursive: true })
  writeFileSync(join(types, 'index.d.ts'), `/**\n${lines.map(line => ` * ${line}`).join('\n')}\n */\nexport declare const x: number;\n`)
  const printed = []
  const problem = await checkExamples({ types, folder: cache, print: text => printed.push(text) })
  return { problem, printed: printed.join('\n') }
}

test('examples are found with their lines: fenced ones, several, and bare code', () => {
  const text = [
    '/** No example. */', 'declare const a: 1', '/**', ' * Text.', ' *', ' * @example', ' * ```ts', ' * one()', ' * @decorator', ' * ```', ' * and', ' * ```sh', ' * two', ' * ```', ' * ```ts',
    ' * three()', ' * ```', ' * @returns nothing', ' */', 'declare const b: 1', '  /**', '   * @example four()', '   * five() */',
  ].join('\n')
  assert.deepEqual(examplesOf(text), [{ line: 8, code: 'one()\n@decorator' }, { line: 16, code: 'three()' }, { line: 22, code: ' four()\nfive() ' }])
})

test('the names of an entry point are those that it hands on', () => {
  assert.deepEqual(exportedNames("export { A } from './a.js';\nexport type { B, C as D } from './b.js';\nimport { E } from './e.js';\n"), ['A', 'B', 'D'])
})

test('an example that compiles and runs is fine: with the open store, with its own, with collections, with imports', async () => {
  const { problem, printed } = await checked(
    '@example', '```ts', "await db.put('a', '1')", "if (await db.get('a') !== '1') throw new Error('lost')", '```', '```ts',
    "const db = await Spillway.open('mine', { budget: new Budget('16 MiB') })", 'await db.close()', '```', '```ts',
    "import { SpillMap } from 'spillway/collections'", "using map = new SpillMap<string, number>({ budget: '16 MiB' })", "map.set('a', 1)", '```',
  )
  assert.equal(problem, undefined, printed)
  assert.equal(printed, '3 examples')
})

test('an example that does not compile fails', async () => {
  const { problem } = await checked('@example', '```ts', 'const text: string = await db.count()', '```')
  assert.equal(problem, 'exit code 1')
})

test('an example that throws fails, with its place', async () => {
  const { problem, printed } = await checked('@example', '```ts', "if (await db.get('a') === undefined) throw new Error('not there')", '```')
  assert.equal(problem, '1 of 1 examples')
  assert.match(printed, /index\.d\.ts:4: exit code 1\n[\s\S]*index\.d\.ts:4[\s\S]*Error: not there/)
})

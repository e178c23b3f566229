import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runTests } from './run-tests.mjs'

const folder = mkdtempSync(join(tmpdir(), 'spillway-run-tests-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function runWith(files, options) {
  const paths = Object.entries(files).map(([name, code]) => {
    const path = join(folder, name)
    writeFileSync(path, `import { test } from 'node:test'\n${code}\n`)
    return path
  })
  const printed = []
  const problem = await runTests(paths, { ...options, print: text => printed.push(text.replaceAll(`${folder}/`, '')) })
  return { problem, text: printed.join('\n') }
}

test('each file that ends is told, then the slowest and the sums', async () => {
  const { problem, text } = await runWith({ 'one.mjs': "test('a', () => {})\ntest('b', { skip: true }, () => {})", 'two.mjs': "test('c', () => {})" })
  assert.equal(problem, undefined)
  assert.match(text, /^1 of 2, +[\d.]+ s: (one|two)\.mjs \([\d.]+ s\)\n2 of 2, .*\n\nThe slowest of 2 files:\n.*\n.*\ntests 3, pass 2, fail 0, cancelled 0, skipped 1, todo 0, [\d.]+ s in all$/)
})

test('a file fails that has a failed test, no test, an error of its own, or does not end', async () => {
  const { problem, text } = await runWith({
    'fails.mjs': "test('a', context => { context.diagnostic('seed 5'); throw new Error('wrong') })", 'empty.mjs': '', 'throws.mjs': "throw new Error('no')",
    'hangs.mjs': "test('a', () => new Promise(resolve => setTimeout(resolve, 1e6)))",
  }, { timeoutMs: 3000 })
  assert.equal(problem, '4 of 4 files')
  assert.match(text, /fails\.mjs FAILED, 1 of 1 tests \([\d.]+ s\)\nnot ok - a .*\n +Error: wrong[\s\S]*# seed 5/)
  for (const line of ['fails.mjs (1 of 1 tests)', 'empty.mjs (there is no test in it)', 'throws.mjs (exit code 1)', 'hangs.mjs (not done after 3 s)']) assert.ok(text.includes(`FAILED: ${line}`), text)
})

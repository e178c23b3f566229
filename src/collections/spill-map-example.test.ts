import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const example = fileURLToPath(new URL('../../examples/spill-map/main.mjs', import.meta.url))

test('the example counts words of a file, and generated ones within its budget', () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-example-'))
  try {
    const file = join(directory, 'text.txt')
    writeFileSync(file, 'One two.\r\nTwo, three; three THREE\n')
    const output = execFileSync(process.execPath, [example, file, '--budget', '8 MiB'], { encoding: 'utf8' })
    assert.match(output, /^ +3 {2}three\n +2 {2}two\n +1 {2}one\n3 different ones of 6 words/)
    const madeUp = execFileSync(process.execPath, [example, '--words', '50000', '--budget', '8 MiB'], { encoding: 'utf8' })
    assert.match(madeUp, /different ones of 50,000 words; at most \d\.\d of 8\.0 MiB in use/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

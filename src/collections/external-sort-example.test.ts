import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const example = fileURLToPath(new URL('../../examples/external-sort/main.mjs', import.meta.url))

test('the example sorts, groups and queues beyond its budget, and sorts a file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-example-'))
  try {
    const output = execFileSync(process.execPath, [example, '--lines', '60000', '--budget', '4 MiB'], { encoding: 'utf8' })
    assert.match(output, /^899 ms {2}request \d+ of customer-\d+\n899 ms .*\n899 ms .*\n60000 requests of 5000 customers\n60000 requests queued and taken in order/)
    const file = join(directory, 'lines')
    writeFileSync(file, 'b\nc\na')
    assert.equal(execFileSync(process.execPath, [example, file], { encoding: 'utf8' }), 'a\nb\nc\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

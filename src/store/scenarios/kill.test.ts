import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Spillway } from '../spillway.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-kill-'))
after(() => rmSync(directory, { recursive: true, force: true }))

/** Run the writer until it has acknowledged `until` more batches, kill it, and return the last row it acknowledged. */
function runAndKill(batchSize: number, until: number): Promise<{ openedAt: number, acked: number }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../testing/kill-child.js', import.meta.url)), directory, String(batchSize)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  let seen = 0
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    seen = text.split('\nacked').length - 1
    if (seen >= until) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (_, signal) => {
      if (signal !== 'SIGKILL') {
        reject(new Error(`the writer ended by itself: ${text.slice(-500)}`))
        return
      }
      // The last line may be cut: what was not reported whole was not heard.
      const acked = [...text.matchAll(/^acked (\d+)\n/gm)].map(match => Number(match[1])).at(-1) ?? -1
      resolve({ openedAt: Number(/^open (\d+)\n/.exec(text)?.[1]), acked })
    })
  })
}

test('kills with SIGKILL during a load lose no acknowledged write', { timeout: 120_000 }, async () => {
  let acked = -1
  for (let round = 0; round < 12; round++) {
    // Different amounts, so that kills fall into flushes, merges, rotations and the first moments after opening.
    const result = await runAndKill(round % 3 === 0 ? 1 : 50, 1 + (round * 97) % 400)
    assert.ok(result.openedAt > acked, `round ${round}: acknowledged up to ${acked}, found up to ${result.openedAt - 1}`)
    acked = Math.max(acked, result.acked)
  }
  await using db = await Spillway.open(directory, { budget: '32 MiB' })
  const last = Number(await db.get('last'))
  assert.ok(last >= acked, `acknowledged up to ${acked}, found up to ${last}`)
  let expected = 0
  for await (const [key, value] of db.iterator({ gte: 'row:' })) {
    assert.equal(key, `row:${String(expected).padStart(10, '0')}`, 'rows have no gap')
    assert.ok(value.startsWith(`${expected} `))
    expected++
  }
  assert.equal(expected, last + 1, 'a batch is there whole or not at all')
  assert.deepEqual((await db.verify()).errors, [])
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SpillQueue } from './spill-queue.ts'
import { SpillSpace } from './spill-space.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-space-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const child = fileURLToPath(new URL('./testing/scratch-child.js', import.meta.url))

for (const ending of ['exit', 'throw']) {
  test(`scratch files are removed when the process ends by ${ending}`, async () => {
    const running = spawn(process.execPath, [child, directory, ending], { stdio: 'ignore' })
    const [code] = await once(running, 'exit') as [number]
    assert.equal(code, ending === 'exit' ? 0 : 1)
    assert.deepEqual(readdirSync(directory), [])
  })
}

test('scratch files of a killed process are removed when the next one spills there, those of a running one stay', async () => {
  const killed = spawn(process.execPath, [child, directory, 'wait'], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(killed.stdout, 'data')
  const left = readdirSync(directory)
  assert.equal(left.length, 2)
  const fill = (): void => {
    using queue = new SpillQueue<string>({ budget: '2 MiB', directory })
    for (let i = 0; i < 3000; i++) queue.push('x'.repeat(100))
  }
  fill()
  assert.deepEqual(readdirSync(directory), left, 'their process is running')
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  fill()
  assert.deepEqual(readdirSync(directory), [])
})

test('a missing directory is created at the first write', () => {
  const missing = join(directory, 'not', 'there')
  using queue = new SpillQueue<string>({ budget: '2 MiB', directory: missing })
  for (let i = 0; i < 3000; i++) queue.push('x'.repeat(100))
  assert.equal(existsSync(missing), false)
  for (let i = 0; i < 30_000; i++) queue.push(`${Math.imul(i, 2654435761)} ${'x'.repeat(100)}`)
  assert.equal(readdirSync(missing).length, 1)
})

test('the leases of a space are released once', () => {
  const space = new SpillSpace({ budget: '4 MiB', directory })
  space.hold('groups', 1000)
  assert.equal(space.budget.usedBytes, 1000)
  space.pages(65536)
  space.close()
  space.close()
  assert.equal(space.budget.usedBytes, 0)
  assert.throws(() => space.pages(65536), { code: 'SPILLWAY_CLOSED' })
})

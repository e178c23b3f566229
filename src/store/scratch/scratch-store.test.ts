import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Budget } from '../../memory/budget.ts'
import { ScratchStore } from './scratch-store.ts'
import { Spillway } from '../spillway.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-scratch-store-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const bytes = (text: string): Buffer => Buffer.from(text)

function put(store: ScratchStore, key: string, value: string): void {
  const k = bytes(key)
  const v = bytes(value)
  store.put(k, 0, k.length, v, 0, v.length)
}

function get(store: ScratchStore, key: string): string | undefined {
  const k = bytes(key)
  const hit = store.find(k, 0, k.length)
  return hit === undefined ? undefined : Buffer.from(hit.value.subarray(hit.valueStart, hit.valueEnd)).toString()
}

function keysOf(store: ScratchStore): number {
  const scan = store.scan(false)
  let count = 0
  for (scan.seek(undefined); scan.valid; scan.advance()) count++
  scan.close()
  return count
}

test('what does not fit is in tables, and there is neither log nor manifest nor lock', () => {
  const store = new ScratchStore({ budget: '8 MiB', directory })
  assert.equal(store.directory, undefined)
  for (let i = 0; i < 40_000; i++) put(store, `key ${i}`, `value ${i} ${'.'.repeat(100)}`)
  assert.ok(store.stats().flushes > 0)
  assert.ok(readdirSync(store.directory!).length > 0)
  for (const name of readdirSync(store.directory!)) assert.match(name, /\.table$/)
  for (let i = 0; i < 40_000; i += 111) assert.match(get(store, `key ${i}`)!, new RegExp(`^value ${i} `))
  const gone = bytes('key 7')
  store.del(gone, 0, gone.length)
  assert.equal(get(store, 'key 7'), undefined)
  assert.equal(keysOf(store), 39_999)
  store.clear()
  assert.equal(keysOf(store), 0)
  assert.deepEqual(readdirSync(store.directory!), [])
  put(store, 'again', 'there')
  assert.equal(get(store, 'again'), 'there')
  store.close()
  store.close()
  assert.deepEqual(readdirSync(directory), [])
})

for (const size of ['12 MiB', '40 MiB']) {
  test(`it shares a budget of ${size} with a store on disk, and gives back all it took`, async () => {
    const budget = new Budget(size)
    const beside = mkdtempSync(join(tmpdir(), 'spillway-beside-'))
    after(() => rmSync(beside, { recursive: true, force: true }))
    const path = join(beside, 'data')
    const db = await Spillway.open(path, { budget })
    for (let round = 0; round < 3; round++) {
      const scratch = new ScratchStore({ budget, directory })
      for (let i = 0; i < 15_000; i++) {
        put(scratch, `key ${i}`, 'x'.repeat(200))
        db.putSync(`key ${round} ${i}`, 'y'.repeat(200))
      }
      assert.equal(get(scratch, 'key 14999'), 'x'.repeat(200))
      scratch.close()
      assert.equal(db.getSync(`key ${round} 14999`), 'y'.repeat(200))
    }
    assert.deepEqual(readdirSync(directory), [])
    await db.close()
    assert.equal(budget.usedBytes, 0)
    assert.ok(budget.report().highWaterBytes <= budget.totalBytes)
    await using again = await Spillway.open(path, { budget })
    assert.equal(await again.count(), 45_000)
  })
}

test('alone on its budget it gives back everything, the worker once its thread has ended', async () => {
  const budget = new Budget('32 MiB')
  for (let round = 0; round < 3; round++) {
    const store = new ScratchStore({ budget, directory })
    for (let i = 0; i < 40_000; i++) put(store, `key ${i}`, 'x'.repeat(200))
    assert.ok(store.stats().flushes > 0)
    store.close()
  }
  while (budget.usedBytes > 0) await new Promise(resolve => setImmediate(resolve))
  assert.ok(budget.report().highWaterBytes <= budget.totalBytes)
})

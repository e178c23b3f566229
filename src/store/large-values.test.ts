import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIND_PUT, KIND_VALUE_FILE } from '../base/cursor.ts'
import { Core } from './core.ts'
import { Engine } from './engine.ts'
import { LargeValues } from './large-values.ts'
import { SingleOperation } from './operations.ts'
import { checkedSettings } from './options.ts'
import { DIRECTORY, simHost } from './testing/sim.ts'

test('a large value whose call must wait is in its operation again, and its file is gone', async () => {
  const host = simHost({ seed: 1 })
  host.files.makeDirectory(DIRECTORY)
  const settings = checkedSettings({ budget: '8 MiB', host }, host)
  const engine = Engine.acquire(settings.budget, host, settings.blockBytes)
  try {
    const core = new Core(engine, DIRECTORY, settings)
    const values = new LargeValues(core)
    const operation = new SingleOperation()
    const value = new Uint8Array(core.plan.inlineValueBytes + 11).fill(9)
    operation.value = value
    operation.valueStart = 10
    operation.valueEnd = value.length
    values.replace(operation, 0, false)
    assert.equal(operation.kind, KIND_VALUE_FILE)
    assert.equal(host.files.list(DIRECTORY).length, 1)
    values.forget(operation)
    assert.deepEqual(host.files.list(DIRECTORY), [])
    assert.deepEqual([operation.kind, operation.valueStart, operation.valueEnd], [KIND_PUT, 10, value.length])
    assert.equal(operation.value, value)
  } finally {
    await engine.release()
  }
})

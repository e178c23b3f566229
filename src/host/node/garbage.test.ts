import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type * as Garbage from './garbage.ts'

const MODULES = 100
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

test('garbage is collected on request, also while another thread clears the flag that this takes', async () => {
  const clearing = new Worker(`
    const { setFlagsFromString } = require('node:v8')
    for (;;) setFlagsFromString('--no-expose-gc')
  `, { eval: true })
  await new Promise(resolve => clearing.once('online', resolve))
  try {
    let freed = 0
    const registry = new FinalizationRegistry(() => { freed++ })
    for (let i = 0; i < MODULES; i++) {
      // One of its own each time: it finds the function once.
      const { collectGarbage } = await import(`./garbage.${extension}?${i}`) as typeof Garbage
      registry.register({}, 0)
      collectGarbage()
      await new Promise(setImmediate)
    }
    assert.ok(freed > MODULES / 2, `${freed} of ${MODULES}`)
  } finally {
    await clearing.terminate()
    setFlagsFromString('--no-expose-gc')
  }
})

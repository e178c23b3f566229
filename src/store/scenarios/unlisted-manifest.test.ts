/** The directory cannot be listed after a manifest was published: the store goes on, and a crash at that moment loses nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileError } from '../../host/file-error.ts'
import { SimFiles } from '../../host/sim/sim-files.ts'
import { checkFiles, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const OPTIONS = { compaction: { strategy: 'tiered', minMergeWidth: 8 } } as const

/** So many listings fail, however the directory is reached. */
let failing = 0
const { list } = SimFiles.prototype
SimFiles.prototype.list = function (path) {
  if (failing > 0) {
    failing--
    throw fileError('EMFILE', 'scandir', path)
  }
  return list.call(this, path)
}

for (const failures of [1, 2, 3, 4]) {
  test(`${failures} listings that fail after the manifest of a flush, a merge and a transaction do not end in READ_ONLY`, async () => {
    for (const what of ['flush', 'compact', 'transaction'] as const) {
      for (const crashes of [false, true]) {
        let host = simHost({ seed: 41 })
        let db = await openSim(host, OPTIONS)
        for (let i = 0; i < 4; i++) {
          await within(host, db.put(`k${i}`, `v${i}`))
          if (what === 'compact') await within(host, db.flush())
        }
        failing = failures
        const run = (): Promise<unknown> => what === 'flush' ? db.flush() : what === 'compact' ? db.compact() : db.transaction(async tx => {
          for (let i = 0; i < 1500; i++) await tx.put(`t${String(i).padStart(5, '0')}`, 'x'.repeat(400))
        })
        let isDone = false
        while (!isDone) {
          isDone = await within(host, run().then(() => true, (error: Error) => {
            assert.match(error.message, /listing its directory failed: .*Nothing was lost/)
            return false
          }))
          if (crashes && failing < failures) break
        }
        assert.ok(failing < failures, 'no listing failed')
        failing = 0
        if (crashes) {
          host = host.crash({ lossless: true })
          db = await openSim(host, OPTIONS)
        }
        await within(host, db.put('after', 'x'))
        await within(host, db.flush())
        await host.idle()
        for (let i = 0; i < 4; i++) assert.equal(db.getSync(`k${i}`), `v${i}`)
        // It was told that it failed, or that it did not.
        if (what === 'transaction') assert.equal(await within(host, db.count({ gte: 't', lt: 'u' })), isDone ? 1500 : 0)
        checkFiles(host, db)
        await closeEmpty(host, db)
        db = await openSim(host, OPTIONS)
        assert.equal(db.getSync('k3'), 'v3')
        await closeEmpty(host, db)
      }
    }
  })
}

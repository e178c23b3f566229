/** Writes of a transaction, and keys that it reads for update, for which there is no memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileError } from '../../host/file-error.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { assertTyped, simHost, within } from '../testing/sim.ts'
import type { Transaction } from './transaction.ts'

const MAX_WAITS = 2000
/** More than an open store asks for beside its memtable. */
const LEFT_BYTES = 700 * 1024

/** A host on which a call that waits without end fails. */
function patientHost(): SimHost {
  const host = simHost({ seed: 3 })
  const make = host.runner.bind(host)
  host.runner = options => {
    const runner = make(options)
    const pump = runner.pump.bind(runner)
    let waits = 0
    return Object.assign(runner, {
      pump: (block: boolean): boolean => {
        if (++waits > MAX_WAITS) throw new Error('it waits without end')
        return pump(block)
      },
    })
  }
  return host
}

/** A store beside one that holds all arenas there are and cannot flush. */
async function starved(): Promise<{ db: Spillway, close: () => Promise<void> }> {
  const host = patientHost()
  const budget = new Budget('8 MiB')
  const open = (directory: string): Promise<Spillway> => within(host, Spillway.open(directory, { host, budget, blockBytes: 1024 }))
  const holder = await open('/a')
  const db = await open('/b')
  host.disk.beforeOperation = (what, path) => {
    if (what === 'create' && path.startsWith('/a/') && path.endsWith('.table')) throw fileError('EIO', 'open', path)
  }
  const others = budget.account('others', 'a test').lease(budget.totalBytes - budget.usedBytes - LEFT_BYTES)
  assert.throws(() => {
    for (let i = 0; ; i++) holder.putSync(`key ${i}`, 'x'.repeat(4000))
  }, { code: 'SPILLWAY_UNAVAILABLE' })
  const close = async (): Promise<void> => {
    for (const store of [db, holder]) await within(host, store.close())
    others.release()
    assert.equal(budget.usedBytes, 0)
  }
  return { db, close }
}

for (const [what, write] of [
  ['a key that is read for update', (transaction: Transaction, i: number) => transaction.getForUpdateSync(`key ${i}`)],
  ['a write', (transaction: Transaction, i: number) => transaction.putSync(`key ${i}`, 'value')],
] as const) {
  test(`${what} for which no memory is ever freed fails with the reason`, async () => {
    const { db, close } = await starved()
    const transaction = await db.begin()
    let thrown: unknown
    try {
      for (let i = 0; i < 5000; i++) write(transaction, i)
    } catch (error) {
      thrown = error
    }
    assert.match(assertTyped(thrown, ['SPILLWAY_UNAVAILABLE']).message, /the store in \/a cannot give back: .*EIO/)
    await transaction.abort()
    await close()
  })
}

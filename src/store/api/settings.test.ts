/** An option that is there and undefined is one that was left out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../../host/sim/sim-host.ts'
import { checkedSettings, chooseStrategy } from './settings.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

test('every option of open may be undefined', () => {
  const host = new SimHost()
  const names = ['budget', 'durability', 'keyEncoding', 'valueEncoding', 'createIfMissing', 'errorIfExists', 'compaction', 'compression', 'blockBytes', 'filterBitsPerKey']
  const { budget, ...rest } = checkedSettings(Object.fromEntries(names.map(name => [name, undefined])), host)
  const { budget: defaultBudget, ...defaults } = checkedSettings({}, host)
  assert.deepEqual(rest, defaults)
  assert.equal(budget.totalBytes, defaultBudget.totalBytes)
})

test('parameters of a strategy that are undefined take their defaults, and maxRuns the bound that the budget sets', () => {
  assert.deepEqual(chooseStrategy({ strategy: 'tiered', maxRuns: undefined, sizeRatio: undefined }, undefined, 7).parameters, chooseStrategy('tiered', undefined, 7).parameters)
  assert.equal(chooseStrategy({ strategy: 'tiered', maxRuns: undefined }, undefined, 7).parameters['maxRuns'], 7)
  assert.equal(chooseStrategy({ strategy: 'tiered', maxRuns: 3 }, undefined, 7).parameters['maxRuns'], 3)
  assert.deepEqual(chooseStrategy({ strategy: 'leveled', multiplier: undefined }, undefined, 7).parameters, chooseStrategy('leveled', undefined, 7).parameters)
})

test('every option of a call may be undefined', async () => {
  const host = simHost({ seed: 6 })
  const db = await openSim(host)
  const none = { keyEncoding: undefined, valueEncoding: undefined }
  await within(host, db.put('a', '1', { ...none, durability: undefined, signal: undefined }))
  db.putSync('b', '2', { ...none, durability: undefined, signal: undefined })
  assert.deepEqual(await within(host, db.getMany(['a', 'b'], { ...none, snapshot: undefined })), ['1', '2'])
  const options = { ...none, snapshot: undefined, reverse: undefined, limit: undefined }
  assert.deepEqual([...db.entriesSync(options)], [['a', '1'], ['b', '2']])
  assert.equal(await within(host, db.count({ snapshot: undefined, keyEncoding: undefined })), 2)
  const transaction = await within(host, db.begin({ durability: undefined, signal: undefined }))
  transaction.putSync('c', '3', none)
  assert.deepEqual([...transaction.entriesSync({ ...none, reverse: undefined, limit: undefined })].length, 3)
  await within(host, transaction.commit())
  await within(host, db.transaction(tx => tx.del('c', none), { retries: undefined, durability: undefined, signal: undefined }))
  assert.equal(await within(host, db.count()), 2)
  await within(host, db.close())
})

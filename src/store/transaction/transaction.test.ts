/** What transactions promise, one by one: isolation, conflicts, ends of all kinds, and memory that stays inside the budget. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { VersionInstaller } from '../background/version-installer.ts'
import { Spillway } from '../spillway.ts'
import { TINY_BUDGET, checkEmpty, checkFiles, checkLedger, closeEmpty, openSim, simHost, turns, within } from '../testing/sim.ts'
import type { Transaction } from './transaction.ts'
import { ConflictError } from './conflicts.ts'

const LARGE = 'v'.repeat(16_000)

/** A store on a simulated machine, closed and checked at the end. */
async function withStore(work: (db: Spillway, host: SimHost) => Promise<void>, options = {}): Promise<void> {
  const host = simHost({ seed: 1 })
  const db = await openSim(host, options)
  await within(host, work(db, host))
  assert.deepEqual((await within(host, db.verify())).errors, [])
  checkLedger(db)
  await closeEmpty(host, db)
}

function numbered(i: number): string {
  return `k${String(i).padStart(6, '0')}`
}

async function fill(transaction: Transaction, count: number, value = LARGE, from = 0): Promise<void> {
  for (let i = 0; i < count; i++) await transaction.put(numbered(from + i), value)
}

test('a transaction reads its own writes, others read them after its commit', () => withStore(async db => {
  await db.put('a', '1')
  await db.put('b', '1')
  const result = await db.transaction(async tx => {
    await tx.put('a', '2')
    tx.delSync('b')
    await db.put('c', 'too late for the snapshot')
    assert.deepEqual(await tx.getMany(['a', 'b', 'c']), ['2', undefined, undefined])
    assert.deepEqual([await tx.has('a'), tx.hasSync('b')], [true, false])
    assert.deepEqual([...tx.entriesSync()], [['a', '2']])
    assert.deepEqual(await db.getMany(['a', 'b']), ['1', '1'])
    return 'done'
  })
  assert.equal(result, 'done')
  assert.deepEqual(await db.iterator().all(), [['a', '2'], ['c', 'too late for the snapshot']])
}))

test('what throws inside aborts, and nothing of it is left', () => withStore(async (db, host) => {
  const failure = new Error('mine')
  await assert.rejects(db.transaction(async tx => {
    await fill(tx, 60)
    throw failure
  }), error => error === failure)
  assert.equal(await db.count(), 0)
  assert.equal(db.stats().transactions.open, 0)
  await host.idle()
  checkFiles(host, db)
}))

test('a lost update is prevented: the second of two is run again', () => withStore(async db => {
  await db.put('counter', '0')
  let runs = 0
  await Promise.all(Array.from({ length: 8 }, () => db.transaction(async tx => {
    runs++
    const count = Number(tx.getSync('counter'))
    await turns(1)
    await tx.put('counter', String(count + 1))
  }, { retries: 50 })))
  assert.equal(db.getSync('counter'), '8')
  assert.ok(runs > 8, 'some had to run again')
  assert.deepEqual([db.stats().transactions.committed, db.stats().transactions.conflicts], [8, runs - 8])
}))

test('without retries a conflict is thrown and names the key', () => withStore(async db => {
  const transaction = await db.begin()
  await transaction.put('mine', '1')
  await transaction.put('contended', '1')
  await db.put('contended', '2')
  await assert.rejects(transaction.commit(), (error: ConflictError) => {
    assert.ok(error instanceof ConflictError)
    assert.equal(error.code, 'SPILLWAY_CONFLICT')
    assert.match(error.message, /the key "contended" was written by another writer/)
    assert.equal(new TextDecoder().decode(error.details['key'] as Uint8Array), 'contended')
    return true
  })
  assert.equal(transaction.state, 'aborted')
  assert.equal(db.getSync('mine'), undefined)
  let runs = 0
  await assert.rejects(db.transaction(async tx => {
    runs++
    await tx.put('contended', 'again')
    await db.put('contended', '3')
  }, { retries: 3 }), { code: 'SPILLWAY_CONFLICT' })
  assert.equal(runs, 4)
}))

/** Two doctors, each goes off duty if the other one is there. */
async function bothLeave(db: Spillway, read: (tx: Transaction, key: string) => Promise<string | undefined>): Promise<string[]> {
  await db.batch([{ type: 'put', key: 'ann', value: 'on' }, { type: 'put', key: 'bob', value: 'on' }])
  const leave = async (self: string, other: string): Promise<void> => {
    await db.transaction(async tx => {
      const there = await read(tx, other)
      await turns(2)
      if (there === 'on') await tx.put(self, 'off')
    })
  }
  await Promise.all([leave('ann', 'bob'), leave('bob', 'ann')])
  return (await db.getMany(['ann', 'bob'])) as string[]
}

test('write skew happens with get, and does not with getForUpdate', () => withStore(async db => {
  assert.deepEqual(await bothLeave(db, (tx, key) => tx.get(key)), ['off', 'off'])
  assert.equal((await bothLeave(db, (tx, key) => tx.getForUpdate(key))).filter(state => state === 'on').length, 1)
}))

test('a removed range conflicts with a write inside it, and a removal of others with a key written', () => withStore(async db => {
  for (let i = 0; i < 20; i++) await db.put(numbered(i), 'v')
  const remover = await db.begin()
  await remover.deleteRange({ gte: numbered(5), lt: numbered(10) })
  await db.put(numbered(10), 'outside')
  await remover.commit()
  assert.equal(await db.count(), 15)
  const second = await db.begin()
  await second.deleteRange({ gte: numbered(0), lt: numbered(5) })
  await db.put(`${numbered(3)} new`, 'inside')
  await assert.rejects(second.commit(), { code: 'SPILLWAY_CONFLICT' })
  const third = await db.begin()
  await third.put(numbered(15), 'mine')
  await db.deleteRange({ gte: numbered(12), lt: numbered(18) })
  await assert.rejects(third.commit(), { code: 'SPILLWAY_CONFLICT' })
}))

test('conflicts are found in transactions that have spilled, whether the others wrote before or during the commit', () => withStore(async db => {
  for (const when of ['before', 'during', 'range before', 'range during']) {
    const transaction = await db.begin()
    await fill(transaction, 100)
    assert.ok(db.stats().transactions.tableBytes > 0)
    const interfere = (): Promise<void> => when.startsWith('range') ? db.deleteRange({ gte: numbered(50), lt: numbered(52) }) : db.put(numbered(50), 'theirs')
    if (when.endsWith('before')) await interfere()
    const committed = transaction.commit()
    if (when.endsWith('during')) await interfere()
    await assert.rejects(committed, { code: 'SPILLWAY_CONFLICT' }, when)
    assert.equal(await db.count(), when.startsWith('range') ? 0 : 1)
    await db.deleteRange({})
  }
}))

/** Every commit of tables comes a turn of the event loop later, as one does that waits for a manifest: others are done in between. */
function delayTurns(t: TestContext): void {
  const { turn } = VersionInstaller.prototype
  t.mock.method(VersionInstaller.prototype, 'turn', async function (this: VersionInstaller, install: () => unknown) {
    await turns(1)
    return turn.call(this, install)
  })
}

test('large transactions that have no key in common are all committed, however many overtake one another', t => withStore(async db => {
  delayTurns(t)
  const transactions = await Promise.all(Array.from({ length: 9 }, () => db.begin()))
  for (const [i, transaction] of transactions.entries()) {
    await fill(transaction, 60, LARGE, 1000 * i)
    transaction.getForUpdateSync(numbered(1000 * i + 500))
  }
  assert.ok(db.stats().transactions.tableBytes > 0)
  await Promise.all(transactions.map(transaction => transaction.commit()))
  assert.equal(await db.count(), 9 * 60)
  assert.deepEqual([db.stats().transactions.committed, db.stats().transactions.conflicts], [9, 0])
}))

test('a large transaction that others overtake again and again is checked at a point without other writes', t => withStore(async db => {
  const { turn } = VersionInstaller.prototype
  let removed = { gte: 'x', lt: 'y' }
  let turnCount = 0
  t.mock.method(VersionInstaller.prototype, 'turn', async function (this: VersionInstaller, install: () => unknown) {
    await turns(1)
    turnCount++
    // A removal says nothing of which keys there were.
    db.deleteRangeSync(turnCount === 6 ? removed : { gte: 'x', lt: 'y' })
    return turn.call(this, install)
  })
  const write = async (from: number): Promise<Transaction> => {
    const transaction = await db.begin()
    await fill(transaction, 100, LARGE, from)
    turnCount = 0
    return transaction
  }
  await (await write(0)).commit()
  assert.deepEqual([turnCount, await db.count()], [6, 100])
  removed = { gte: numbered(1050), lt: numbered(1051) }
  await assert.rejects((await write(1000)).commit(), (error: ConflictError) => {
    assert.ok(error instanceof ConflictError)
    assert.equal(new TextDecoder().decode(error.details['key'] as Uint8Array), numbered(1050))
    return true
  })
  assert.deepEqual([turnCount, await db.count()], [6, 100])
}))

test('twenty thousand keys read for update are remembered within the budget', { timeout: 120_000 }, () => withStore(async db => {
  for (const theirs of [undefined, numbered(17_777)]) {
    const transaction = await db.begin()
    for (let i = 0; i < 20_000; i++) transaction.getForUpdateSync(numbered(i))
    assert.ok(db.stats().transactions.tableBytes > 0)
    await transaction.put('mine', '1')
    if (theirs !== undefined) await db.put(theirs, '1')
    if (theirs === undefined) await transaction.commit()
    else await assert.rejects(transaction.commit(), { code: 'SPILLWAY_CONFLICT' })
    checkLedger(db)
  }
}))

test('an iterator of a transaction sees it as of its creation, also while it spills', () => withStore(async db => {
  for (let i = 0; i < 50; i++) await db.put(numbered(i * 2), 'stored')
  const transaction = await db.begin()
  for (let i = 0; i < 50; i += 2) await transaction.put(numbered(i), 'mine')
  const expected = [...transaction.entriesSync()]
  assert.equal(expected.length, 50)
  const iterator = transaction.iterator()
  assert.deepEqual(await iterator.next(), expected[0])
  await fill(transaction, 100)
  await transaction.deleteRange({ gte: numbered(10) })
  const rest = await iterator.all()
  assert.deepEqual(rest, expected.slice(1))
  assert.deepEqual((await transaction.iterator({ reverse: true, limit: 2 }).all()).map(([key]) => key), [numbered(9), numbered(8)])
  await transaction.abort()
}))

test('iterators and calls end with their transaction', () => withStore(async db => {
  const transaction = await db.begin()
  await transaction.put('a', '1')
  const iterator = transaction.iterator()
  await transaction.commit()
  await assert.rejects(iterator.next(), { code: 'SPILLWAY_CLOSED' })
  for (const call of [() => transaction.get('a'), () => transaction.put('a', '2'), () => transaction.commit(), () => transaction.deleteRange({})]) {
    await assert.rejects(call(), { code: 'SPILLWAY_CLOSED' })
  }
  await transaction.abort()
  assert.equal(transaction.state, 'committed')
}))

test('await using aborts a transaction that was not committed', () => withStore(async db => {
  {
    await using transaction = await db.begin()
    await transaction.put('a', '1')
  }
  assert.equal(db.getSync('a'), undefined)
  assert.equal(db.stats().transactions.open, 0)
}))

test('a signal ends a transaction, and nothing of it is written', () => withStore(async db => {
  const controller = new AbortController()
  await assert.rejects(db.transaction(async tx => {
    await fill(tx, 50)
    controller.abort()
  }, { signal: controller.signal }), { code: 'SPILLWAY_ABORTED' })
  assert.equal(await db.count(), 0)
}))

test('an abandoned transaction is seen in the report, and a closed store ends it', async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host)
  const transaction = await db.begin()
  await within(host, fill(transaction, 60))
  host.advance(5000)
  const { open, bytes, tableBytes, oldestAgeMs } = db.stats().transactions
  assert.equal(open, 1)
  // Spilled bytes are compressed: this value is one character.
  assert.ok(bytes > tableBytes && tableBytes > 0 && oldestAgeMs! >= 5000, JSON.stringify(db.stats().transactions))
  await closeEmpty(host, db)
  await assert.rejects(transaction.commit(), { code: 'SPILLWAY_CLOSED' })
  assert.deepEqual(host.files.list('/store').filter(name => name.endsWith('.table')), [])
})

test('calls that make no sense are refused', () => withStore(async db => {
  await assert.rejects(db.transaction(5 as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await assert.rejects(db.transaction(async () => {}, { retries: -1 }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await assert.rejects(db.transaction(async () => {}, { tries: 1 } as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await assert.rejects(db.begin({ snapshot: 1 } as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await db.transaction(async tx => {
    await assert.rejects(tx.put('a', undefined as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    await assert.rejects(tx.put('a', '1', { durability: 'os' } as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    // It goes on after them.
    await tx.put('a', '1')
  })
  assert.equal(db.getSync('a'), '1')
}))

test('a deletion in a large transaction hides what was in memory only, after merges and flushes in any order', () => withStore(async (db, host) => {
  await db.put(numbered(3), 'old')
  await db.put(numbered(4), 'old')
  const transaction = await db.begin()
  await fill(transaction, 100, LARGE, 1000)
  await transaction.del(numbered(3))
  await transaction.deleteRange({ gte: numbered(4), lt: numbered(6) })
  await transaction.commit()
  await db.put(numbered(7), 'new')
  assert.deepEqual(await db.getMany([numbered(3), numbered(4), numbered(7)]), [undefined, undefined, 'new'])
  await host.idle()
  await db.compact()
  assert.deepEqual(await db.getMany([numbered(3), numbered(4), numbered(7)]), [undefined, undefined, 'new'])
  assert.equal(await db.count(), 101)
}, { compaction: { strategy: 'tiered', minMergeWidth: 2 } }))

test('snapshots and iterators opened before a large commit do not see it', () => withStore(async db => {
  await db.put(numbered(1), 'old')
  const snapshot = db.snapshot()
  const iterator = db.iterator()
  await db.transaction(tx => fill(tx, 100))
  assert.deepEqual([...db.entriesSync({ snapshot })], [[numbered(1), 'old']])
  assert.deepEqual(await iterator.all(), [[numbered(1), 'old']])
  assert.equal(db.getSync(numbered(1), { snapshot }), 'old')
  assert.equal(db.getSync(numbered(1)), LARGE)
  snapshot.close()
}))

test('large values belong to their transaction until it is committed', () => withStore(async (db, host) => {
  const value = 'large '.repeat(20_000)
  const files = (): number => host.files.list('/store').filter(name => name.endsWith('.value')).length
  const aborted = await db.begin()
  await aborted.put('a', value)
  assert.equal(aborted.getSync('a'), value)
  assert.equal(files(), 1)
  await aborted.abort()
  assert.equal(files(), 0)
  await db.transaction(tx => tx.put('small', value))
  await db.transaction(async tx => {
    await tx.put('spilled', value)
    await fill(tx, 60)
  })
  await host.idle()
  assert.equal(files(), 2)
  assert.deepEqual([db.getSync('small') === value, db.getSync('spilled') === value], [true, true])
  await db.deleteRange({})
  await db.compact()
  assert.equal(files(), 0)
}))

test('a batch larger than every memtable is written, whole and in its order among other writes', () => withStore(async db => {
  const operations = Array.from({ length: 200 }, (_, i) => ({ type: 'put' as const, key: numbered(i), value: LARGE }))
  const before = db.put(numbered(0), 'before')
  const batch = db.batch([...operations, { type: 'del', key: numbered(1) }, { type: 'put', key: numbered(2), value: 'last' }])
  const after = db.put(numbered(3), 'after')
  await Promise.all([before, batch, after])
  assert.deepEqual(await db.getMany([0, 1, 2, 3, 4].map(numbered)), [LARGE, undefined, 'last', 'after', LARGE])
  db.batchSync(operations)
  assert.deepEqual(await db.getMany([1, 2, 3].map(numbered)), [LARGE, LARGE, LARGE])
  assert.equal(await db.count(), 200)
}))

test('two open transactions, a writer and a reader get on in the smallest budget', { timeout: 120_000 }, async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host, { budget: TINY_BUDGET })
  const [first, second] = [await db.begin(), await db.begin()]
  for (let i = 0; i < 300; i++) {
    await within(host, first.put(`first ${numbered(i)}`, LARGE))
    await within(host, db.put(`plain ${numbered(i)}`, LARGE))
    await within(host, second.put(`second ${numbered(i)}`, LARGE))
    if (i % 50 === 0) assert.equal(await db.get(`plain ${numbered(i)}`), LARGE)
    checkLedger(db)
  }
  // And without a turn of the event loop.
  for (let i = 300; i < 400; i++) {
    first.putSync(`first ${numbered(i)}`, LARGE)
    db.putSync(`plain ${numbered(i)}`, LARGE)
    second.putSync(`second ${numbered(i)}`, LARGE)
  }
  await within(host, Promise.all([first.commit(), second.commit()]))
  assert.equal(await within(host, db.count()), 1200)
  await closeEmpty(host, db)
})

test('twenty open transactions do not wait for one another', { timeout: 120_000 }, () => withStore(async db => {
  const open = await Promise.all(Array.from({ length: 20 }, () => db.begin()))
  for (let i = 0; i < 10; i++) await Promise.all(open.map((transaction, number) => transaction.put(`${number} ${numbered(i)}`, LARGE)))
  await Promise.all(open.map(transaction => transaction.commit()))
  assert.equal(await db.count(), 200)
}))

test('hundreds of small transactions at once, with and without a turn of the event loop between their writes', { timeout: 120_000 }, () => withStore(async db => {
  await Promise.all(Array.from({ length: 150 }, (_, i) => db.transaction(async tx => {
    await tx.put(`a${i}`, 'v')
    if (i % 2 === 0) await turns(1)
    await tx.put(`b${i}`, 'v')
  })))
  assert.equal(await db.count(), 300)
}))

test('64 MiB in one transaction with a budget of 8 MiB, then the same aborted', { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-transaction-'))
  try {
    const db = await Spillway.open(directory, { budget: '8 MiB' })
    const value = Buffer.alloc(1000)
    const random = (i: number): string => numbered(i * 48_271 % 65_537)
    const write = async (transaction: Transaction): Promise<void> => {
      for (let i = 0; i < 65_536; i++) {
        value.fill(String(i)).writeUInt32LE(i * 2_654_435_761 % 2 ** 32, 8)
        await transaction.put(random(i), value.toString('latin1'), { valueEncoding: 'utf8' })
        if (i % 1024 === 0) checkLedger(db)
      }
    }
    await db.transaction(async tx => {
      await write(tx)
      assert.equal(tx.getSync(random(5))?.slice(0, 8), '55555555')
    })
    checkLedger(db)
    assert.equal(await db.count(), 65_536)
    assert.equal(db.getSync(random(65_535))?.slice(0, 5), '65535')
    const aborted = await db.begin()
    await write(aborted)
    await aborted.abort()
    assert.equal(db.stats().transactions.bytes, 0)
    assert.equal(await db.count(), 65_536)
    await db.close()
    checkEmpty(db)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

/** A transaction with a write that waits for memory. */
async function waitingWrite(db: Spillway, options = {}): Promise<{ tx: Transaction, write: Promise<void>, written: number }> {
  const tx = await db.begin(options)
  for (let written = 1; written < 2000; written++) {
    const write = tx.put(numbered(written), LARGE)
    let isDone = false
    const end = (): void => { isDone = true }
    write.then(end, end)
    for (let i = 0; i < 4; i++) await Promise.resolve()
    if (!isDone) return { tx, write, written }
    await write
  }
  throw new Error('no write had to wait')
}

test('a second commit and later writes are refused while the first commit waits for a write', () => withStore(async db => {
  const { tx, write, written } = await waitingWrite(db)
  const first = tx.commit()
  await assert.rejects(tx.commit(), { code: 'SPILLWAY_CLOSED' })
  await assert.rejects(tx.put('late', '1'), { code: 'SPILLWAY_CLOSED' })
  await assert.rejects(tx.abort(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await Promise.all([write, first])
  assert.equal(tx.state, 'committed')
  assert.equal(await db.count(), written)
  assert.deepEqual([db.stats().transactions.committed, db.stats().transactions.conflicts], [1, 0])
}))

test('closing the store while a commit waits for a write refuses both', async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host)
  const { tx, write } = await waitingWrite(db)
  const ends = Promise.allSettled([write, tx.commit()])
  await within(host, db.close())
  assert.deepEqual((await within(host, ends)).map(({ status }) => status), ['rejected', 'rejected'])
  assert.equal(tx.state, 'aborted')
  checkEmpty(db)
})

test('a commit that is refused because of the signal or a write that failed ends the transaction', () => withStore(async db => {
  const controller = new AbortController()
  const tx = await db.begin({ signal: controller.signal })
  await fill(tx, 60)
  controller.abort(new Error('mine'))
  await assert.rejects(tx.commit(), { code: 'SPILLWAY_ABORTED', message: /^the transaction was aborted by its signal/ })
  assert.equal(tx.state, 'aborted')
  assert.equal(db.stats().transactions.open, 0)
  const waiting = new AbortController()
  const { tx: other, write } = await waitingWrite(db, { signal: waiting.signal })
  waiting.abort()
  await assert.rejects(write, { code: 'SPILLWAY_ABORTED' })
  await assert.rejects(other.commit(), { code: 'SPILLWAY_ABORTED' })
  assert.equal(other.state, 'aborted')
}))

test('reading no keys at all is refused after the end like any other call', () => withStore(async db => {
  const tx = await db.begin()
  await tx.abort()
  await assert.rejects(tx.getMany([]), { code: 'SPILLWAY_CLOSED' })
}))

test('tables that come while the runs they could join are merged are not lost', () => withStore(async (db, host) => {
  let written = 0
  await db.transaction(async tx => {
    // Runs that overlap, until some are merged; and meanwhile tables apart from all of them.
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 50; i++) await tx.put(`a${numbered(i * 100 + round)}`, LARGE)
      for (let i = 0; i < 50; i++) await tx.put(`z${numbered(round * 100 + i)}`, LARGE)
      written += 100
      let count = 0
      for (const _ of tx.entriesSync()) count++
      assert.equal(count, written)
    }
  })
  assert.equal(await db.count(), written)
  await host.idle()
  checkFiles(host, db)
}))

/** Each gets memory for one write at a time, which becomes a table when the next one writes. */
async function takeTurns(db: Spillway, count: number): Promise<Transaction[]> {
  const transactions: Transaction[] = []
  for (let i = 0; i < count; i++) transactions.push(await db.begin())
  for (let j = 0; j < 24; j++) for (const [i, tx] of transactions.entries()) await tx.put(`${i}.${j}`, 'v'.repeat(3000))
  return transactions
}

test('many transactions that take turns come to their end, or are told what is missing', { timeout: 60_000 }, async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host)
  const transactions = await takeTurns(db, 24)
  for (const tx of transactions) await tx.commit()
  assert.equal(await db.count(), 24 * 24)
  await assert.rejects(takeTurns(db, 200), { code: 'SPILLWAY_UNAVAILABLE', message: /a transaction cannot give back: no room for .* of table metadata/ })
  checkLedger(db)
  await closeEmpty(host, db)
})

/**
 * Packed scans yield what scans entry by entry do: a codec of the user's own has an iterator go the second way, so both can be
 * asked the same at any moment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dice } from '../../compaction/testing/twins.ts'
import type { Codec } from '../../encoding/encoding.ts'
import type { SpillwayIterator } from './iterator.ts'
import type { Spillway } from '../spillway.ts'
import { checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, within } from '../testing/sim.ts'
import type { IteratorOptions } from '../api/options.ts'

const SEED = firstSeed(20260301)
const SEEDS = seedCount(12)
const UNMERGED = { strategy: 'tiered', minMergeWidth: 1000, maxSpaceAmplificationPercent: 1e9, maxRuns: 1000, tombstonePercent: 100 } as const
/** Decodes as 'utf8' does, entry by entry. */
const SLOW: Codec<string> = { name: 'slow', encode: text => text, decode: bytes => Buffer.from(bytes).toString('utf8') }
type Options = IteratorOptions
type Pair = [string, string]

function keyOf(dice: Dice): string {
  const kind = dice.below(12)
  if (kind === 0) return 'k'.repeat(dice.below(600))
  if (kind === 1) return `é${dice.below(300)}`
  if (kind === 2) return String.fromCharCode(97 + dice.below(26))
  return `key:${String(dice.below(400)).padStart(4, '0')}`
}

function valueOf(dice: Dice, label: number): string {
  const kind = dice.below(40)
  if (kind === 0) return `${label}`.repeat(6000)
  if (kind === 1) return `${label}`.repeat(500)
  if (kind === 2) return ''
  if (kind === 3) return `ü${label}`
  return `${label}`.repeat(1 + dice.below(20))
}

function rangeOf(dice: Dice): Options {
  const [a, b] = [keyOf(dice), keyOf(dice)].sort()
  return {
    ...(dice.chance(50) ? dice.chance(50) ? { gte: a! } : { gt: a! } : {}),
    ...(dice.chance(40) ? dice.chance(50) ? { lt: b! } : { lte: b! } : {}),
    ...(dice.chance(30) ? { limit: dice.below(150) } : {}),
  }
}

async function step(dice: Dice, db: Spillway, label: number, within: <T>(promise: Promise<T>) => Promise<T>): Promise<void> {
  const kind = dice.below(30)
  if (kind === 0) await within(db.flush())
  else if (kind === 1) await within(db.deleteRange(rangeWithoutLimit(dice)))
  else if (kind === 2 && dice.chance(30)) await within(db.compact())
  else if (kind === 3 && dice.chance(20)) {
    // Large enough for tables of its own, whose sequence numbers are shifted.
    await within(db.transaction(async transaction => {
      for (let i = 0; i < 300; i++) await transaction.put(keyOf(dice), `t${label} ${'y'.repeat(dice.below(300))}`)
    }))
  } else if (kind < 8) await within(db.del(keyOf(dice)))
  else await within(db.put(keyOf(dice), valueOf(dice, label)))
}

function rangeWithoutLimit(dice: Dice): Options {
  const start = keyOf(dice)
  return { gte: start, lt: `${start}\u{ff}` }
}

test(`packed or entry by entry, an iterator yields the same, whatever happens meanwhile (seeds from ${SEED})`, async () => {
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    const dice = new Dice(seed)
    const host = simHost({ seed })
    const wait = <T>(promise: Promise<T>): Promise<T> => within(host, promise)
    const db = await openSim(host, { budget: '16 MiB', compaction: UNMERGED, blockBytes: dice.pick([1024, 1024, 4096]) })
    for (let i = 0; i < 900; i++) await step(dice, db, i, wait)
    let open: { packed: SpillwayIterator<Pair>, slow: SpillwayIterator<Pair>, text: string }[] = []
    for (let i = 0; i < 120; i++) {
      if (open.length < 4) {
        const snapshot = dice.chance(20) ? db.snapshot() : undefined
        const options: Options = { ...rangeOf(dice), ...(snapshot === undefined ? {} : { snapshot }) }
        open.push({
          packed: db.iterator(options), slow: db.iterator({ ...options, valueEncoding: SLOW }), text: JSON.stringify({ ...options, snapshot: undefined }),
        })
        snapshot?.close()
      }
      for (const { packed, slow, text } of open) {
        const size = dice.pick([1, 3, 40, 700])
        const target = dice.chance(5) ? keyOf(dice) : undefined
        if (target !== undefined) {
          packed.seek(target)
          slow.seek(target)
        }
        const found = dice.chance(50) ? await some(packed, size) : packed.nextvSync(size)
        // Either may have fewer at hand.
        const wanted: Pair[] = []
        while (wanted.length < found.length) {
          const more = slow.nextvSync(found.length - wanted.length)
          if (more.length === 0) break
          wanted.push(...more)
        }
        assert.deepEqual(found, wanted, `seed ${seed}, round ${i}, ${text}`)
        if (found.length === 0) assert.deepEqual(slow.nextvSync(1), [], `seed ${seed}, round ${i}, ${text}`)
      }
      if (dice.chance(60)) await step(dice, db, 1000 + i, wait)
      for (const done of open.filter(() => dice.chance(20))) {
        done.packed.closeSync()
        done.slow.closeSync()
        open = open.filter(one => one !== done)
      }
      checkLedger(db)
    }
    for (const { packed, slow } of open) {
      packed.closeSync()
      slow.closeSync()
    }
    const all = await db.iterator({ valueEncoding: SLOW }).all()
    assert.equal(await wait(db.count()), all.length, `seed ${seed}`)
    assert.deepEqual(await db.iterator({ reverse: true }).all(), [...all].reverse())
    await closeEmpty(host, db)
  }
})

async function some(iterator: SpillwayIterator<Pair>, size: number): Promise<Pair[]> {
  const found: Pair[] = []
  while (found.length < size) {
    const next = await iterator.next()
    if (next === undefined) break
    found.push(next)
  }
  return found
}

test('keys and values come out of packed rows in every encoding, and are the caller\'s to change', async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host, { budget: '16 MiB' })
  const rows: Pair[] = []
  for (let i = 0; i < 600; i++) rows.push([`${i % 7 === 0 ? 'ß' : 'a'}${String(i).padStart(5, '0')}`, JSON.stringify({ i, text: 'x'.repeat(i % 90), sign: i % 50 === 0 ? '☂' : '' })])
  for (const [key, value] of rows) db.putSync(key, value)
  await within(host, db.flush())
  rows.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (let round = 0; round < 2; round++) {
    const bytes = await db.iterator({ keyEncoding: 'buffer', valueEncoding: 'buffer' }).all() as unknown as [Buffer, Buffer][]
    assert.deepEqual(bytes, rows.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]))
    for (const [key, value] of bytes) {
      assert.ok(key.buffer.byteLength <= 8192 && value.buffer.byteLength <= 8192, 'what keeps one keeps no more than a piece')
      key.fill(0)
      value.fill(1)
    }
  }
  const { buffer } = (await db.values({ valueEncoding: 'buffer', limit: 9 }).all() as unknown as Buffer[])[0]!
  try {
    new MessageChannel().port1.postMessage(buffer, [buffer as ArrayBuffer])
  } catch (error) {
    // From Node 21 on; before, it is copied.
    assert.equal((error as Error).name, 'DataCloneError')
  }
  assert.ok(buffer.byteLength > 0, 'its neighbours keep their bytes')
  const views = await db.values({ valueEncoding: 'view' }).all() as unknown as Uint8Array[]
  assert.deepEqual(views, rows.map(([, value]) => new Uint8Array(Buffer.from(value))))
  assert.deepEqual(await db.iterator().all(), rows)
  assert.deepEqual(await db.iterator({ valueEncoding: 'json' }).all(), rows.map(([key, value]) => [key, JSON.parse(value) as unknown]))
  assert.deepEqual(await db.keys().all(), rows.map(([key]) => key))
  assert.deepEqual([...db.entriesSync({ limit: 100 })], rows.slice(0, 100))
  await closeEmpty(host, db)
})

test('a value that cannot be decoded fails the call that begins with it, and the iterator stands where it stood', async () => {
  const host = simHost({ seed: 2 })
  const db = await openSim(host, { budget: '16 MiB' })
  for (let i = 0; i < 50; i++) db.putSync(`k${10 + i}`, i === 30 ? 'no JSON' : '1')
  await within(host, db.flush())
  const iterator = db.iterator({ valueEncoding: 'json' })
  assert.equal(iterator.nextvSync(20).length, 20)
  assert.equal(iterator.nextvSync(20).length, 10, 'those before it')
  for (let tries = 0; tries < 2; tries++) assert.throws(() => iterator.nextvSync(20), { code: 'SPILLWAY_DECODING', message: /^the value of key "k40": / })
  iterator.seek('k41')
  assert.equal(iterator.nextvSync(100).length, 19)
  iterator.closeSync()
  await closeEmpty(host, db)
})

test('a block that takes more than half of a kernel region does not spoil the rows that were gathered', async () => {
  const host = simHost({ seed: 3 })
  const db = await openSim(host, { budget: '64 MiB', compaction: UNMERGED })
  const rows: Pair[] = []
  for (let i = 0; i < 1000; i++) rows.push([`m${String(i).padStart(4, '0')}`, `first ${i}`])
  for (const [key, value] of rows) db.putSync(key, value)
  await within(host, db.flush())
  // The second run: some small entries, and behind them the largest that lies in a block.
  const text = (length: number): string => Buffer.from(new Dice(length).bytes(length, 96).map(byte => byte + 32)).toString('latin1')
  const others: Pair[] = [['m0090!', 'second'], ['m0100!', 'second'], [`m0100!${text(65_529)}`, text(65_536)], ['m0110!', 'second']]
  for (const [key, value] of others) await within(host, db.put(key, value))
  await within(host, db.flush())
  assert.equal(db.stats().runs.length, 2)
  assert.equal(db.stats().valueFiles, 0)
  const wanted = [...rows, ...others].sort(([a], [b]) => a < b ? -1 : 1)
  for (const iterator of [db.iterator(), db.iterator({ gte: 'm0080', limit: 100 })]) {
    const found = await iterator.all()
    const from = wanted.findIndex(([key]) => key === found[0]![0])
    assert.equal(found.length, from === 0 ? wanted.length : 100)
    for (let i = 0; i < found.length; i++) assert.ok(found[i]![0] === wanted[from + i]![0] && found[i]![1] === wanted[from + i]![1], `row ${i}`)
  }
  await closeEmpty(host, db)
})

test('what a transaction wrote to tables of its own is newer than what was there, and older than what came after', async () => {
  const host = simHost({ seed: 4 })
  const db = await openSim(host, { compaction: UNMERGED })
  const keys = Array.from({ length: 2000 }, (_, i) => `k${String(i).padStart(4, '0')}`)
  for (const key of keys) await within(host, db.put(key, 'before'))
  await within(host, db.flush())
  await within(host, db.transaction(async transaction => {
    for (const [i, key] of keys.entries()) if (i % 2 === 0) await transaction.put(key, `within ${'x'.repeat(800)}`)
    assert.ok(db.stats().transactions.tableBytes > 0)
  }))
  for (const [i, key] of keys.entries()) if (i % 3 === 0) await within(host, db.put(key, 'after'))
  for (let round = 0; round < 2; round++) {
    const found = await db.iterator().all()
    assert.deepEqual(found.map(([key, value]) => [key, value.slice(0, 6)]), keys.map((key, i) => [key, i % 3 === 0 ? 'after' : i % 2 === 0 ? 'within' : 'before']))
    await within(host, db.flush())
  }
  await closeEmpty(host, db)
})

test('a scan whose bound is longer than any packed key has its own rows, not those of the scan before', async () => {
  const host = simHost({ seed: 10 })
  const db = await openSim<string, string>(host, { budget: '16 MiB' })
  await within(host, db.batch(Array.from({ length: 500 }, (_, i) => ({ type: 'put' as const, key: `key ${String(i).padStart(4, '0')}`, value: `${i}` }))))
  await within(host, db.flush())
  assert.equal((await within(host, db.iterator({ gte: 'key 0300' }).all())).length, 200)
  const bound = 'key 0010'.padEnd(2500, 'x')
  assert.deepEqual((await within(host, db.keys({ lt: bound }).all())).length, 11)
  assert.equal(await within(host, db.count({ gte: 'key 0300' })), 200)
  assert.equal(await within(host, db.count({ lt: bound })), 11)
  await within(host, db.close())
})

test('an iterator that was closed with entries read ahead gives nothing more, and holds nothing', async () => {
  const host = simHost({ seed: 11 })
  const db = await openSim<string, string>(host, { budget: '16 MiB' })
  await within(host, db.batch(Array.from({ length: 2000 }, (_, i) => ({ type: 'put' as const, key: `key ${String(i).padStart(4, '0')}`, value: `${i}` }))))
  await within(host, db.flush())
  const before = db.memory().accounts['iterators']!.bytes
  const iterator = db.iterator()
  for (let i = 0; i < 40; i++) await within(host, iterator.next())
  await iterator.close()
  await assert.rejects(within(host, iterator.next()), { code: 'SPILLWAY_CLOSED' })
  await assert.rejects(within(host, iterator.next()), { code: 'SPILLWAY_CLOSED' })
  assert.equal(db.memory().accounts['iterators']!.bytes, before)
  await within(host, db.close())
})

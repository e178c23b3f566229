/** The host is told what iterators hand out, so that it can have it collected before too much of it waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { MAX_WAITING_BYTES, YoungGarbage } from '../../host/node/minor-gc-pacer.ts'
import { openSim, simHost, within } from '../testing/sim.ts'
import type { Spillway } from '../spillway.ts'

const ROWS = 2000
const KEY_BYTES = 8
const VALUE_BYTES = 500

interface Told { bufferBytes: number, objectBytes: number, largest: number }

function listen(host: SimHost): Told {
  const told = { bufferBytes: 0, objectBytes: 0, largest: 0 }
  host.handedOut = (bufferBytes: number, objectBytes: number) => {
    told.bufferBytes += bufferBytes
    told.objectBytes += objectBytes
    told.largest = Math.max(told.largest, bufferBytes)
  }
  return told
}

async function filled(host: SimHost): Promise<Spillway<Buffer, Buffer>> {
  const db = await openSim<Buffer, Buffer>(host, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  for (let i = 0; i < ROWS; i += 100) {
    const operations = Array.from({ length: 100 }, (_, k) => ({
      type: 'put' as const, key: Buffer.from(String(i + k).padStart(KEY_BYTES, '0')), value: Buffer.alloc(VALUE_BYTES, i + k),
    }))
    await within(host, db.batch(operations))
  }
  await within(host, db.flush())
  return db
}

for (const reverse of [false, true]) {
  test(`every byte that a scan hands out in buffers is told to the host, ${reverse ? 'entry by entry' : 'many at once'}`, async () => {
    const host = simHost()
    const db = await filled(host)
    const told = listen(host)
    let rows = 0
    for (const _ of db.entriesSync({ reverse })) rows++
    assert.equal(rows, ROWS)
    assert.equal(told.bufferBytes, ROWS * (KEY_BYTES + VALUE_BYTES))
    assert.ok(told.objectBytes >= ROWS * 2 * 64, `${told.objectBytes} bytes of objects`)
    assert.ok(told.largest < 256 * 1024, `${told.largest} at a time`)
    await within(host, db.close())
  })
}

test('text is no buffer: V8 counts it itself', async () => {
  const host = simHost()
  const db = await filled(host)
  const told = listen(host)
  for (const _ of db.entriesSync({ keyEncoding: 'utf8', valueEncoding: 'utf8' })) continue
  assert.deepEqual(told, { bufferBytes: 0, objectBytes: 0, largest: 0 })
  for (const _ of db.entriesSync({ valueEncoding: 'utf8' })) continue
  assert.equal(told.bufferBytes, ROWS * KEY_BYTES)
  await within(host, db.close())
})

test('scans that go on and on are collected again and again', async () => {
  const host = simHost()
  const db = await filled(host)
  let collections = 0
  let waitingBytes = 0
  let maxBytes = 0
  // A generation so large that it collects nothing by itself.
  const garbage = new YoungGarbage({
    usedBytes: () => Infinity,
    collect: () => {
      collections++
      waitingBytes = 0
    },
  })
  host.handedOut = (bufferBytes: number, objectBytes: number) => {
    maxBytes = Math.max(maxBytes, waitingBytes += bufferBytes)
    garbage.add(bufferBytes, objectBytes)
  }
  for (let scan = 0; scan < 100; scan++) for (const _ of db.entriesSync()) continue
  const expected = 100 * ROWS * (KEY_BYTES + VALUE_BYTES) / MAX_WAITING_BYTES
  assert.ok(collections > 0.9 * expected && collections <= expected, `${collections} collections, at most ${expected} expected`)
  assert.ok(maxBytes < MAX_WAITING_BYTES + 256 * 1024, `${maxBytes} bytes waited`)
  await within(host, db.close())
})

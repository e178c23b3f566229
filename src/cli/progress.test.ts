import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProgressLine } from './progress.ts'

function recorder(isTTY: boolean, columns?: number) {
  const written: string[] = []
  return { written, isTTY, ...columns === undefined ? {} : { columns }, write(text: string) { written.push(text) } }
}

test('a line is drawn only when its time has come, and once more at the end', () => {
  let ms = 0
  const stream = recorder(false)
  const line = new ProgressLine({ stream, intervalMs: 1000, nowMs: () => ms })
  line.update({ count: 1 })
  assert.equal(line.due, false)
  assert.equal(stream.written.length, 0)
  ms = 1000
  assert.equal(line.due, true)
  line.update({ count: 500 })
  line.update({ count: 501 })
  assert.deepEqual(stream.written, ['500 rows  500 rows/s\n'])
  line.finish()
  assert.equal(stream.written.length, 2)
})

test('percent, rates, time left and memory are shown', () => {
  let ms = 0
  const stream = recorder(false)
  const line = new ProgressLine({ stream, label: 'Importing', nowMs: () => ms })
  ms = 5000
  line.update({ count: 50_000, bytes: 5_000_000, done: 5_000_000, total: 20_000_000, memory: { usedBytes: 3 << 20, budgetBytes: 4 << 20 }, note: 'ok' })
  assert.deepEqual(stream.written, ['Importing   25%  50,000 rows  10,000 rows/s  1.0 MB/s  ETA 15.0 s  memory 3.0 MiB of 4.0 MiB  ok\n'])
})

test('rates are those of the last seconds, not of the whole run', () => {
  let ms = 0
  const stream = recorder(false)
  const line = new ProgressLine({ stream, intervalMs: 1000, nowMs: () => ms })
  for (let i = 1; i <= 20; i++) {
    ms = i * 1000
    line.update({ count: i <= 10 ? i * 1000 : 10_000 })
  }
  assert.equal(stream.written.at(-1), '10,000 rows  0 rows/s\n')
})

test('on a terminal the line is redrawn in place and fits', () => {
  let ms = 0
  const stream = recorder(true, 60)
  const line = new ProgressLine({ stream, label: 'Importing', nowMs: () => ms })
  ms = 100
  line.update({ count: 5, done: 1, total: 4, bytes: 100, memory: { usedBytes: 1, budgetBytes: 2 } })
  assert.equal(stream.written[0], '\rImporting  [#####...............]  25%  5 rows  50 rows/s\x1b[K')
  line.finish(true)
  assert.equal(stream.written[1], '\r\x1b[K')
})

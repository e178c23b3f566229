import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOf, formatCount, formatDecimalSize, formatDuration, textBar, textPairs, textTable } from './table.ts'

test('columns are as wide as their widest cell, numbers to the right', () => {
  assert.deepEqual(
    textTable([{ title: 'name' }, { title: 'n', align: 'right' }], [['a', '1'], ['東京都', '1,234']]),
    ['name        n', 'a           1', '東京都  1,234'],
  )
  assert.deepEqual(textPairs([['a', 'x'], ['long', '']]), ['a     x', 'long'])
})

test('a bar shows something for anything above zero and stays within its width', () => {
  assert.equal(textBar(0, 4), '....')
  assert.equal(textBar(0.001, 4), '#...')
  assert.equal(textBar(0.5, 4), '##..')
  assert.equal(textBar(7, 4), '####')
  assert.equal(textBar(NaN, 4), '....')
})

test('numbers read well', () => {
  assert.equal(formatCount(1234567), '1,234,567')
  assert.equal(countOf(0, 'row'), '0 rows')
  assert.equal(countOf(1, 'row'), '1 row')
  assert.equal(countOf(1, 'entry', 'entries'), '1 entry')
  assert.equal(countOf(1000, 'entry', 'entries'), '1,000 entries')
  assert.equal(formatDecimalSize(999), '999 B')
  assert.equal(formatDecimalSize(12_345_678), '12.3 MB')
  assert.equal(formatDecimalSize(999_999), '1.0 MB')
  assert.equal(formatDuration(1.25), '1.3 s')
  assert.equal(formatDuration(65), '1:05')
  assert.equal(formatDuration(7384), '2:03:04')
  assert.equal(formatDuration(Infinity), '-')
})

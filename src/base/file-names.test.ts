import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { logName, manifestName, parseName, tableName, valueName } from './file-names.ts'
import type { FileKind } from './file-names.ts'

const SEED = 20250623
const NAMES: Partial<Record<FileKind, (number: number) => string>> = { manifest: manifestName, table: tableName, log: logName, value: valueName }

test('names are what the format says', () => {
  const names = [manifestName(1), tableName(12), logName(123456789), valueName(0)]
  assert.deepEqual(names, ['manifest-00000001', '00000012.table', '123456789.log', '00000000.value'])
})

test('a name that was made is parsed back', () => {
  for (const number of [0, 1, 99_999_999, 100_000_000, 2 ** 31 - 1, 999_999_999_999_999]) {
    for (const [kind, name] of Object.entries(NAMES)) assert.deepEqual(parseName(name(number)), { kind, number })
  }
})

test('the lock, temporary files and foreign files are told apart', () => {
  for (const name of ['LOCK', 'LOCK-00000001', 'LOCK-0348847a814a4d35.sock']) assert.equal(parseName(name).kind, 'lock')
  for (const name of ['.fuse_hidden0000001100000002', '.nfs000000000180000100000001']) assert.equal(parseName(name).kind, 'hidden')
  assert.equal(parseName('tmp-1f').kind, 'temporary')
  const foreign = [
    '', '.', 'lock', 'LOCK.txt', 'tmp', 'manifest', 'manifest-', 'manifest-1', 'manifest-0000001', 'manifest-000000001',
    '000000001.log', '1.table',
    '00000001.tables', '00000001.table~', 'x00000001.table', '00000001', '00000001.',
    '-0000001.log', '0000000a.log', '00000001.table\n', '٠٠٠٠٠٠٠١.log', '1234567890123456.log',
  ]
  for (const name of foreign) assert.deepEqual(parseName(name), { kind: 'foreign', number: 0 }, JSON.stringify(name))
})

test(`of any name, only the one spelling of a number is a file of the store (seed ${SEED})`, () => {
  const digits = fc.array(fc.constantFrom('0', '0', '1', '9'), { minLength: 6, maxLength: 17 }).map(list => list.join(''))
  const names = fc.oneof(fc.string(), digits.map(text => `${text}.log`), digits.map(text => `manifest-${text}`), digits.map(text => `${text}.table`))
  let files = 0
  fc.assert(fc.property(names, name => {
    const { kind, number } = parseName(name)
    const made = NAMES[kind]
    if (made === undefined) return
    files++
    assert.equal(made(number), name)
    assert.ok(Number.isSafeInteger(number))
  }), { seed: SEED, numRuns: 1000 })
  assert.ok(files > 50, `${files} names were files`)
})

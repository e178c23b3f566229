import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { removeStaleOutputs } from './stale-outputs.mjs'
import { matchingTests, runnableTest } from './test-names.mjs'

const names = ['memtable/arena', 'scripts/examples', 'store/read/point-reader', 'store/read/reader', 'wal/log', 'wal/log-damage']
const matches = given => matchingTests(given, names, '/project')
const folder = mkdtempSync(join(tmpdir(), 'spillway-outputs-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a test is named by its path, however much of it is given', () => {
  for (const given of ['store/read/point-reader', 'src/store/read/point-reader.test.ts', 'dist/store/read/point-reader.test.js', './src/store/read/point-reader.ts',
    'src/store/read/point-reader', 'point-reader', 'point', resolve('/project', 'src/store/read/point-reader.test.ts')]) {
    assert.deepEqual(matches(given), ['store/read/point-reader'], given)
  }
  assert.deepEqual(matches('scripts/examples.test.mjs'), ['scripts/examples'])
})

test('the whole name goes before the end of one, that before a part', () => {
  assert.deepEqual(matches('wal/log'), ['wal/log'])
  assert.deepEqual(matches('reader'), ['store/read/reader'])
  assert.deepEqual(matches('log'), ['wal/log'])
  assert.deepEqual(matches('a'), names.filter(name => name.includes('a')))
  assert.deepEqual(matches('nothing'), [])
  assert.deepEqual(matches('src/'), [])
})

test('what node runs', () => {
  assert.equal(runnableTest('wal/log'), 'dist/wal/log.test.js')
  assert.equal(runnableTest('scripts/examples'), 'scripts/examples.test.mjs')
})

test('outputs of sources that are gone are removed, with the folders that held nothing else', () => {
  const put = (...names) => names.forEach(name => {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), '')
  })
  put('src/a.ts', 'src/room/b.test.ts')
  put('dist/a.js', 'dist/a.d.ts', 'dist/old.js', 'dist/room/b.test.js', 'dist/room/c.test.d.ts', 'dist/gone/d.js', 'dist/types/index.d.ts', 'dist/.tsbuildinfo')
  assert.deepEqual(removeStaleOutputs(join(folder, 'src'), join(folder, 'dist')), ['gone/d.js', 'old.js', 'room/c.test.d.ts'])
  assert.deepEqual(readdirSync(join(folder, 'dist'), { recursive: true }).sort(), ['.tsbuildinfo', 'a.d.ts', 'a.js', 'room', 'room/b.test.js', 'types', 'types/index.d.ts'])
})

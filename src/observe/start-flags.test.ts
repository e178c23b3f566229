import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flagValue, semiSpaceMb, startSettings } from './start-flags.ts'

test('flags follow what was measured for each version of Node and each malloc', () => {
  const shown = (nodeMajor: number, malloc: 'glibc' | 'jemalloc'): string[] => startSettings(nodeMajor, malloc).map(({ action }) => `${action.type} ${action.how}`)
  assert.deepEqual(shown(20, 'glibc'), ['flag --max-semi-space-size=1', 'environment MALLOC_ARENA_MAX=1'])
  assert.deepEqual(shown(24, 'glibc'), ['flag --max-semi-space-size=1', 'flag --no-maglev', 'environment MALLOC_ARENA_MAX=1'])
  assert.deepEqual(shown(26, 'jemalloc'), ['flag --max-semi-space-size=1', 'flag --no-maglev'])
  // Measured without effect.
  assert.ok(!shown(26, 'glibc').join().includes('TRIM_THRESHOLD'))
})

test('flags are read as node takes them', () => {
  assert.equal(flagValue(['--max_semi_space_size=4', '--other'], 'max-semi-space-size'), 4)
  assert.equal(flagValue(['--max-semi-space-size', '8'], 'max-semi-space-size'), 8)
  assert.equal(flagValue(['--max-old-space-size=4'], 'max-semi-space-size'), undefined)
  assert.deepEqual([20, 22, 24, 26].map(nodeMajor => semiSpaceMb({ nodeMajor, startFlags: [] })), [16, 16, 64, 32])
})

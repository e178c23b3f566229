import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpillwayError } from '../base/errors.ts'
import { findPreload, mallocOf } from '../host/node/allocator.ts'
import { SimRuntime } from '../host/sim/sim-runtime.ts'
import { allocatorInUse, allocatorOpportunities, checkPreloaded, preloadEnvironment, preloadFrom } from './allocators.ts'

const MIB = 1024 * 1024
const GLIBC = '7f00-7f01 r-xp 00000000 08:01 1   /usr/lib/x86_64-linux-gnu/libc.so.6\n'

test('the malloc in use is read from the libraries of the process', () => {
  assert.equal(mallocOf(GLIBC).name, 'glibc')
  const both = mallocOf(`${GLIBC}7f02-7f03 r-xp 00000000 08:01 2   /usr/lib/x86_64-linux-gnu/libjemalloc.so.2\n`)
  assert.deepEqual([both.name, both.file], ['jemalloc', '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'])
  assert.equal(mallocOf('7f02-7f03 r-xp 0 08:01 2   /opt/my libs/libmimalloc.so.2.0\n').name, 'mimalloc')
  assert.equal(mallocOf('7f02-7f03 r-xp 0 08:01 2   /lib/ld-musl-x86_64.so.1\n').name, 'musl')
  assert.match(mallocOf('7f02-7f03 r-xp 0 00:00 0   [heap]\n').how, /no known malloc/)
  assert.equal(mallocOf(undefined).name, 'system')
  if (process.platform === 'linux') assert.notEqual(allocatorInUse().how, '')
})

test('an allocator that is not installed is a typed error with the package, never the malloc of the system', () => {
  for (const [name, debian] of [['jemalloc', 'libjemalloc2'], ['mimalloc', 'libmimalloc2.0']] as const) {
    const find: typeof findPreload = () => findPreload(name, ['/nowhere', '/empty'], folder => {
      if (folder === '/nowhere') throw new Error('ENOENT')
      return ['libjemalloc.txt', 'libmimalloc.a']
    })
    assert.throws(() => preloadFrom(name, undefined, find), (error: unknown) => {
      assert.ok(error instanceof SpillwayError)
      assert.equal(error.code, 'SPILLWAY_UNAVAILABLE')
      assert.deepEqual(error.details, { allocator: name, package: debian, searched: ['/nowhere', '/empty'] })
      assert.match(error.message, new RegExp(`apt-get install ${debian}`))
      return true
    })
  }
  assert.throws(() => preloadEnvironment('tcmalloc' as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('the library with a version is preloaded, before what is preloaded already', () => {
  const find: typeof findPreload = name => findPreload(name, ['/lib'], () => ['libjemalloc.so', 'libjemalloc.so.2', 'libmimalloc.so.2.0', 'libc.so.6'])
  assert.deepEqual(preloadFrom('jemalloc', undefined, find), { LD_PRELOAD: '/lib/libjemalloc.so.2' })
  assert.deepEqual(preloadFrom('mimalloc', '/lib/other.so', find), { LD_PRELOAD: '/lib/libmimalloc.so.2.0:/lib/other.so' })
})

test('a library that is installed but was not loaded is an error too', () => {
  checkPreloaded('jemalloc', { name: 'jemalloc', file: '/lib/libjemalloc.so.2', how: '' }, '/lib/libjemalloc.so.2')
  assert.throws(() => checkPreloaded('jemalloc', mallocOf(GLIBC), '/lib/libjemalloc.so.2'), { code: 'SPILLWAY_UNAVAILABLE', message: /has glibc/ })
})

test('another malloc is advised only where glibc keeps much that nothing holds', () => {
  const { process: memory } = new SimRuntime()
  const glibc = mallocOf(GLIBC)
  assert.deepEqual(allocatorOpportunities(glibc, memory, 0), [])
  const large = { ...memory, rssBytes: 300 * MIB, heapTotalBytes: 50 * MIB, externalBytes: 10 * MIB }
  assert.equal(allocatorOpportunities(glibc, large, 0)[0]!.action.how, 'npx spillway run --allocator jemalloc app.js')
  assert.deepEqual(allocatorOpportunities(glibc, large, 200 * MIB), [])
  assert.deepEqual(allocatorOpportunities({ ...glibc, name: 'jemalloc' }, large, 0), [])
})

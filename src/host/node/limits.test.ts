import assert from 'node:assert/strict'
import { totalmem } from 'node:os'
import { test } from 'node:test'
import { bootId, cgroupLimitBytes, memoryLimitBytes } from './limits.ts'

const reader = (files: Record<string, string>) => (path: string): string | undefined => files[path]

test('without cgroups there is no limit', () => {
  assert.equal(cgroupLimitBytes(reader({})), Infinity)
  assert.equal(cgroupLimitBytes(reader({ '/proc/self/cgroup': 'nonsense\n' })), Infinity)
})

test('version 2: the tightest limit on the way up counts', () => {
  const files: Record<string, string> = {
    '/proc/self/cgroup': '0::/system.slice/app.service\n',
    '/sys/fs/cgroup/system.slice/app.service/memory.max': 'max\n',
    '/sys/fs/cgroup/system.slice/memory.max': '268435456\n',
    '/sys/fs/cgroup/memory.max': '536870912\n',
  }
  assert.equal(cgroupLimitBytes(reader(files)), 268435456)
  files['/sys/fs/cgroup/system.slice/app.service/memory.max'] = '1000000\n'
  assert.equal(cgroupLimitBytes(reader(files)), 1000000)
})

test('version 2 inside a container, where the group is the root', () => {
  assert.equal(cgroupLimitBytes(reader({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': '134217728\n' })), 134217728)
})

test('version 1: the memory controller, also when the path is that of the host', () => {
  const files = {
    '/proc/self/cgroup': '12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '67108864\n',
  }
  assert.equal(cgroupLimitBytes(reader(files)), 67108864)
})

test('what this process may use is a positive number within the machine', () => {
  const limit = memoryLimitBytes()
  assert(Number.isSafeInteger(limit) && limit > 0 && limit <= totalmem(), String(limit))
})

test('the boot has the same identity twice', () => {
  assert.equal(bootId(), bootId())
  if (process.platform === 'linux') assert.match(bootId(), /^[0-9a-f-]{36}$/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { combinePressure } from '../pressure.ts'
import type { PressurePart } from '../pressure.ts'
import { SimPressure } from '../sim/sim-pressure.ts'
import { NodePressure, nodePressure } from './pressure.ts'

class Machine {
  platform = 'linux'
  files: Record<string, string> = {}
  readonly reads: string[] = []
  ms = 100
  free = 0
  vmStats: ((text: string | undefined) => void)[] = []
  read = (path: string): string | undefined => {
    this.reads.push(path)
    return this.files[path]
  }
  nowMs = (): number => this.ms
  freeBytes = (): number => this.free
  totalBytes = (): number => 1000 * 4096
  vmStat = (done: (text: string | undefined) => void): void => { this.vmStats.push(done) }
}

const value = (parts: readonly PressurePart[], name: string): number | undefined | 'absent' => {
  const part = parts.find(candidate => candidate.name === name)
  return part === undefined ? 'absent' : part.value
}

const meminfo = (available: number): string => `MemTotal:       1000 kB\nMemFree:        10 kB\nMemAvailable:   ${available} kB\n`
const stalls = (percent: string): string =>
  `some avg10=${percent} avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`

test('the pressure is the largest part that is known, undefined when none is', () => {
  assert.equal(combinePressure([]).pressure, undefined)
  assert.equal(combinePressure([{ name: 'a', value: undefined }, { name: 'b', value: NaN }]).pressure, undefined)
  const reading = combinePressure([
    { name: 'a', value: 0.2 }, { name: 'b', value: undefined }, { name: 'c', value: 0.4 }, { name: 'd', value: -3 },
  ])
  assert.deepEqual(reading, {
    pressure: 0.4,
    parts: [{ name: 'a', value: 0.2 }, { name: 'b', value: undefined }, { name: 'c', value: 0.4 }, { name: 'd', value: 0 }],
  })
  assert.equal(combinePressure([{ name: 'a', value: 7 }]).pressure, 1)
})

test('the simulated one is what it is set to', () => {
  const sim = new SimPressure()
  assert.equal(sim.read().pressure, 0)
  sim.value = 0.9
  assert.equal(sim.read().pressure, 0.9)
  sim.value = undefined
  assert.deepEqual(sim.read(), { pressure: undefined, parts: [{ name: 'machine', value: undefined }] })
})

test('Linux without groups or stall information: the machine alone, and the rest is unknown, not 0', () => {
  const machine = new Machine()
  machine.files = { '/proc/meminfo': meminfo(400) }
  assert.deepEqual(new NodePressure(machine).read(), {
    pressure: 0.6,
    parts: [{ name: 'machine', value: 0.6 }, { name: 'machine stalls', value: undefined }, { name: 'cgroup', value: undefined }],
  })
})

test('Linux where nothing can be read: unknown', () => {
  const { pressure, parts } = new NodePressure(new Machine()).read()
  assert.equal(pressure, undefined)
  assert.ok(parts.length > 0 && parts.every(part => part.value === undefined))
})

test('version 2: the fullest limited group on the way up, file pages left out, and the stalls of the own group', () => {
  const machine = new Machine()
  const own = '/sys/fs/cgroup/system.slice/app.service'
  machine.files = {
    '/proc/meminfo': meminfo(900),
    '/proc/pressure/memory': stalls('1.50'),
    '/proc/self/cgroup': '0::/system.slice/app.service\n',
    [`${own}/memory.max`]: '2000000\n',
    [`${own}/memory.current`]: '1\n',
    [`${own}/memory.pressure`]: stalls('12.00'),
    '/sys/fs/cgroup/system.slice/memory.max': '1000000\n',
    '/sys/fs/cgroup/system.slice/memory.current': '900000\n',
    '/sys/fs/cgroup/system.slice/memory.stat': 'anon 300000\nfile 600000\ninactive_file 400000\nactive_file 100000\n',
    '/sys/fs/cgroup/system.slice/memory.pressure': stalls('50.00'),
  }
  const { pressure, parts } = new NodePressure(machine).read()
  assert.equal(pressure, 0.4)
  assert.equal(value(parts, 'cgroup'), 0.4)
  assert.equal(value(parts, 'cgroup stalls'), 0.12)
  assert.equal(value(parts, 'machine stalls'), 0.015)
})

test('version 2 inside a container, where the group is the mount: its limit counts though the machine is empty', () => {
  const machine = new Machine()
  machine.files = {
    '/proc/meminfo': meminfo(990),
    '/proc/self/cgroup': '0::/../../docker/abc\n',
    '/sys/fs/cgroup/memory.max': '1000\n',
    '/sys/fs/cgroup/memory.current': '850\n',
  }
  const { pressure, parts } = new NodePressure(machine).read()
  assert.equal(pressure, 0.85)
  assert.equal(value(parts, 'cgroup stalls'), 'absent')
})

test('version 1 beside version 2: limit and usage of the memory controller, stalls of the unified hierarchy', () => {
  const machine = new Machine()
  machine.files = {
    '/proc/meminfo': meminfo(900),
    '/proc/self/cgroup': '8:pids:/\n4:memory:/jobs/1\n1:cpu,cpuacct:/\n0::/\n',
    '/sys/fs/cgroup/memory/jobs/1/memory.limit_in_bytes': '2000\n',
    '/sys/fs/cgroup/memory/jobs/1/memory.usage_in_bytes': '1900\n',
    '/sys/fs/cgroup/memory/jobs/1/memory.stat': 'inactive_file 0\nactive_file 0\ntotal_inactive_file 300\ntotal_active_file 200\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    '/sys/fs/cgroup/memory/memory.usage_in_bytes': '123456789\n',
    '/sys/fs/cgroup/unified/memory.pressure': stalls('3.00'),
  }
  const { pressure, parts } = new NodePressure(machine).read()
  assert.equal(pressure, 0.7)
  assert.equal(value(parts, 'cgroup stalls'), 0.03)
})

test('groups without a limit have no part; a limit whose usage cannot be read is unknown', () => {
  const machine = new Machine()
  machine.files = { '/proc/meminfo': meminfo(500), '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' }
  assert.equal(value(new NodePressure(machine).read().parts, 'cgroup'), 'absent')
  machine.files['/sys/fs/cgroup/memory.max'] = '1000\n'
  const { pressure, parts } = new NodePressure(machine).read()
  assert.equal(value(parts, 'cgroup'), undefined)
  assert.equal(pressure, 0.5)
})

test('a limit that is lowered counts at the next look', () => {
  const machine = new Machine()
  machine.files = {
    '/proc/meminfo': meminfo(900), '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/memory.max': 'max\n', '/sys/fs/cgroup/memory.current': '500\n',
  }
  const probe = new NodePressure(machine)
  assert.ok(probe.read().pressure! < 0.2)
  machine.files['/sys/fs/cgroup/memory.max'] = '1000\n'
  machine.ms += 1000
  assert.equal(probe.read().pressure, 0.5)
})

test('the files are looked for once, and the machine is looked at once a second at most', () => {
  const machine = new Machine()
  machine.files = {
    '/proc/meminfo': meminfo(900), '/proc/self/cgroup': '0::/a/b/c\n',
    '/sys/fs/cgroup/a/memory.max': '1000\n', '/sys/fs/cgroup/a/memory.current': '100\n', '/sys/fs/cgroup/a/memory.stat': '',
  }
  const probe = new NodePressure(machine)
  const first = probe.read()
  machine.reads.length = 0
  machine.files['/proc/meminfo'] = meminfo(100)
  machine.ms += 999
  assert.equal(probe.read(), first)
  assert.deepEqual(machine.reads, [])
  machine.ms += 1
  assert.equal(probe.read().pressure, 0.9)
  assert.deepEqual(machine.reads, [
    '/proc/meminfo', '/proc/pressure/memory',
    '/sys/fs/cgroup/a/memory.max', '/sys/fs/cgroup/a/memory.current', '/sys/fs/cgroup/a/memory.stat',
  ])
})

test('when the group is gone the part is unknown once, then the files of the new one are found', () => {
  const machine = new Machine()
  machine.files = {
    '/proc/meminfo': meminfo(900), '/proc/self/cgroup': '0::/old\n',
    '/sys/fs/cgroup/old/memory.max': '1000\n', '/sys/fs/cgroup/old/memory.current': '300\n',
  }
  const probe = new NodePressure(machine)
  assert.equal(probe.read().pressure, 0.3)
  machine.files = {
    '/proc/meminfo': meminfo(900), '/proc/self/cgroup': '0::/new\n',
    '/sys/fs/cgroup/new/memory.max': '1000\n', '/sys/fs/cgroup/new/memory.current': '600\n',
  }
  machine.ms += 1000
  assert.equal(value(probe.read().parts, 'cgroup'), undefined)
  machine.ms += 1000
  assert.equal(value(probe.read().parts, 'cgroup'), 0.6)
})

const vmStat = (free: number, inactive: number): string =>
  'Mach Virtual Memory Statistics: (page size of 4096 bytes)\n' +
  `Pages free: ${free}.\nPages active: 100.\nPages inactive: ${inactive}.\nPages speculative: 0.\n`

test('macOS: unknown until vm_stat has answered, then its last answer, one vm_stat at a time, every five seconds', () => {
  const machine = new Machine()
  machine.platform = 'darwin'
  const probe = new NodePressure(machine)
  assert.deepEqual(probe.read(), { pressure: undefined, parts: [{ name: 'machine', value: undefined }] })
  machine.ms += 60_000
  assert.equal(probe.read().pressure, undefined)
  assert.equal(machine.vmStats.length, 1)
  machine.vmStats[0]!(vmStat(50, 200))
  machine.ms += 1000
  assert.equal(probe.read().pressure, 0.75)
  assert.equal(machine.vmStats.length, 2)
  machine.vmStats[1]!(vmStat(0, 100))
  machine.ms += 1000
  assert.equal(probe.read().pressure, 0.9)
  assert.equal(machine.vmStats.length, 2)
  machine.ms += 4000
  probe.read()
  assert.equal(machine.vmStats.length, 3)
})

test('macOS without a working vm_stat: free memory, until it works', () => {
  const machine = new Machine()
  machine.platform = 'darwin'
  machine.free = 100 * 4096
  const probe = new NodePressure(machine)
  probe.read()
  machine.vmStats[0]!(undefined)
  machine.ms += 5000
  assert.equal(probe.read().pressure, 0.9)
  machine.vmStats[1]!(vmStat(0, 300))
  machine.ms += 1000
  assert.equal(probe.read().pressure, 0.7)
})

test('other systems: free memory', () => {
  const machine = new Machine()
  machine.platform = 'win32'
  machine.free = 250 * 4096
  assert.deepEqual(new NodePressure(machine).read(), { pressure: 0.75, parts: [{ name: 'machine', value: 0.75 }] })
  assert.deepEqual(machine.reads, [])
})

test('this machine has a pressure from 0 to 1, or says that it does not know', () => {
  const { pressure, parts } = nodePressure.read()
  for (const part of parts) assert.ok(part.value === undefined || (part.value >= 0 && part.value <= 1), `${part.name} ${part.value}`)
  if (process.platform === 'linux') assert.ok(pressure !== undefined && pressure >= 0 && pressure <= 1, String(pressure))
})

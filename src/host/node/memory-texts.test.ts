import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as texts from './memory-texts.ts'

const MEMINFO = `MemTotal:       24684084 kB
MemFree:        14054580 kB
MemAvailable:   18513063 kB
Buffers:            1484 kB
Cached:           382188 kB
SwapCached:            0 kB
SwapTotal:             0 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
`

test('/proc/meminfo: what is not available, not what is not free', () => {
  assert.equal(texts.meminfoPressure(MEMINFO), 1 - 18513063 / 24684084)
  assert.equal(texts.meminfoPressure('MemTotal: 100 kB\nMemAvailable: 0 kB\n'), 1)
  assert.equal(texts.meminfoPressure('MemTotal: 100 kB\nMemAvailable: 120 kB\n'), 0)
})

for (const [name, text] of [
  ['no text', undefined], ['an empty text', ''], ['an old kernel', 'MemTotal: 100 kB\nMemFree: 50 kB\n'],
  ['no total', 'MemAvailable: 50 kB\n'], ['a total of 0', 'MemTotal: 0 kB\nMemAvailable: 0 kB\n'],
  ['another unit', 'MemTotal: 100 MB\nMemAvailable: 50 MB\n'], ['a longer name', 'XMemTotal: 100 kB\nMemAvailable: 50 kB\n'],
] as const) {
  test(`/proc/meminfo: ${name} is unknown`, () => {
    assert.equal(texts.meminfoPressure(text), undefined)
  })
}

test('pressure stall information: some, over the last ten seconds', () => {
  const text = 'some avg10=22.50 avg60=1.00 avg300=0.50 total=123\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n'
  assert.equal(texts.stallPressure(text), 0.225)
  assert.equal(texts.stallPressure('some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n'), 0)
  assert.equal(texts.stallPressure('full avg10=5.00 avg60=0.00 avg300=0.00 total=0\n'), undefined)
  assert.equal(texts.stallPressure('some avg10=nan avg60=0\n'), undefined)
  assert.equal(texts.stallPressure(''), undefined)
  assert.equal(texts.stallPressure(undefined), undefined)
})

test('a cgroup limit: a number, or none as either version says it', () => {
  assert.equal(texts.cgroupLimit('536870912\n'), 536870912)
  assert.equal(texts.cgroupLimit('0\n'), 0)
  assert.equal(texts.cgroupLimit('max\n'), Infinity)
  assert.equal(texts.cgroupLimit('9223372036854771712\n'), Infinity)
  for (const text of [undefined, '', '\n', 'maximum', '-1', '12 34', '1e9']) assert.equal(texts.cgroupLimit(text), undefined, text)
})

test('a cgroup usage: a number or unknown', () => {
  assert.equal(texts.cgroupUsage('123456\n'), 123456)
  for (const text of [undefined, '', 'max', '-5']) assert.equal(texts.cgroupUsage(text), undefined, text)
})

const STAT_V1 = `cache 9289728
rss 8052736
inactive_file 8192
active_file 196608
total_cache 392945664
total_inactive_file 102547456
total_active_file 281313280
`
const STAT_V2 = `anon 104857600
file 314572800
kernel_stack 98304
shmem 4096
inactive_anon 0
active_anon 104857600
inactive_file 209715200
active_file 104857600
unevictable 0
`

test('file pages of a cgroup: version 2 plain, version 1 with those of the groups below', () => {
  assert.equal(texts.cgroupFilePages(STAT_V2, ''), 314572800)
  assert.equal(texts.cgroupFilePages(STAT_V1, 'total_'), 383860736)
  assert.equal(texts.cgroupFilePages(STAT_V1, ''), 204800)
  assert.equal(texts.cgroupFilePages(STAT_V2, 'total_'), undefined)
  assert.equal(texts.cgroupFilePages('active_file 1\n', ''), undefined)
  assert.equal(texts.cgroupFilePages(undefined, ''), undefined)
})

type Known = number | undefined

const CGROUPS: [what: string, limit: Known, usage: Known, files: Known, pressure: Known][] = [
  ['half used', 1000, 500, 0, 0.5],
  ['full of file pages', 1000, 1000, 800, 0.2],
  ['file pages not known', 1000, 900, undefined, 0.9],
  ['more than the limit', 1000, 1200, 0, 1],
  ['file pages read later than the usage', 1000, 500, 600, 0],
  ['a limit of 0', 0, 0, 0, 1],
  ['usage not known', 1000, undefined, 0, undefined],
  ['limit not known', undefined, 500, 0, undefined],
]

for (const [what, limit, usage, files, pressure] of CGROUPS) {
  test(`pressure of a cgroup: ${what}`, () => {
    assert.equal(texts.cgroupPressure(limit, usage, files), pressure)
  })
}

const VM_STAT = `Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                5000.
Pages active:                            387419.
Pages inactive:                          380000.
Pages speculative:                         5000.
Pages throttled:                              0.
Pages wired down:                        127531.
Pages purgeable:                           9172.
"Translation faults":                1293874561.
Pages stored in compressor:              318432.
`

test('vm_stat: free, speculative and inactive pages are available', () => {
  assert.equal(texts.vmStatPressure(VM_STAT, 390_000 * 16384 * 4), 0.75)
  assert.equal(texts.vmStatPressure(VM_STAT, 16384), 0)
  assert.equal(texts.vmStatPressure(VM_STAT, 0), undefined)
  assert.equal(texts.vmStatPressure(VM_STAT.replace('16384', 'many'), 1e9), undefined)
  assert.equal(texts.vmStatPressure(VM_STAT.replace('Pages inactive', 'Pages idle'), 1e9), undefined)
  assert.equal(texts.vmStatPressure('', 1e9), undefined)
  assert.equal(texts.vmStatPressure(undefined, 1e9), undefined)
})

test('free of total is unknown without a total', () => {
  assert.equal(texts.shareUsed(25, 100), 0.75)
  assert.equal(texts.shareUsed(0, 0), undefined)
  assert.equal(texts.shareUsed(NaN, 100), undefined)
  assert.equal(texts.shareUsed(-1, 100), undefined)
})

/** Whatever byte of whatever file changes: that file is named, and no other. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { parseName } from '../../base/file-names.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { KERNEL_REGION_BYTES } from '../../compaction/jobs.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { LOG_READ_BUFFER_BYTES } from '../../wal/log-reader.ts'
import { valueOf } from '../testing/run-commands.ts'
import { DIRECTORY, assertTyped, openSim, simHost, within } from '../testing/sim.ts'
import { filesOf, flipped, hostWith, namesOfKind, withFile } from '../testing/stored-files.ts'
import type { StoredFiles } from '../testing/stored-files.ts'
import type { VerifyReport } from '../api/reports.ts'
import { verifyClosed } from './verify-closed.ts'
import { verifyDirectory } from './verify-directory.ts'

const OPTIONS = { compaction: { strategy: 'tiered', minMergeWidth: 8, targetTableBytes: 4096 } } as const
const kernels = new Kernels(KERNEL_REGION_BYTES)
const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)

/** Of a store that was closed, with two log segments; of the same as its process died; and of that two commits earlier. */
let closed: StoredFiles
let crashed: StoredFiles
let earlier: StoredFiles

before(async () => {
  const host = simHost()
  let db = await openSim(host, OPTIONS)
  for (let table = 0; table < 3; table++) {
    for (let i = 0; i < 60; i++) db.putSync(`key ${i + 20 * table}`, valueOf(100 * table + i, i === 5 ? 17_000 + table : 3 * i))
    db.delSync(`key ${table}`)
    if (table === 1) db.deleteRangeSync({ gte: 'key 12', lte: 'key 13' })
    await within(host, db.flush())
    if (table === 1) earlier = filesOf(host)
  }
  db.putSync('logged', 'first')
  db.putSync('logged large', valueOf(7, 18_000))
  await within(host, db.close())
  db = await openSim(host, OPTIONS)
  for (let i = 0; i < 5; i++) db.putSync(`logged ${i}`, valueOf(i, 40))
  crashed = filesOf(host)
  await within(host, db.close())
  closed = filesOf(host)
  for (const files of [closed, crashed]) {
    const counts = (['manifest', 'table', 'log', 'value'] as const).map(kind => namesOfKind(files, kind).length)
    assert.deepEqual(counts, [1, 3, 2, 4])
  }
})

async function verify(files: StoredFiles, reboot = false): Promise<VerifyReport> {
  return verifyOn(hostWith(files, reboot))
}

/** Nothing may be changed by it, and nothing may stay leased. */
async function verifyOn(host: SimHost): Promise<VerifyReport> {
  host.disk.faults.readOnlyDirectory = '/'
  const budget = new Budget('4 MiB')
  const report = await within(host, verifyDirectory({ host, files: host.files, directory: DIRECTORY, mountId: host.mountId(), kernels, buffer, account: budget.account('verify', 'a test') }))
  assert.deepEqual(host.disk.faults.refusals, [])
  assert.equal(budget.usedBytes, 0)
  return report
}

const pathOf = (name: string): string => `${DIRECTORY}/${name}`
const named = (entries: readonly { file: string }[]): string[] => [...new Set(entries.map(({ file }) => file))].sort()

/** The first and last bytes, and some in between. */
function places(bytes: Uint8Array, step: number): number[] {
  return [...bytes.keys()].filter(at => at % step === 0 || (at % 3 === 0 && (at < 64 || at >= bytes.length - 64)))
}

async function flips(files: StoredFiles, name: string, step: number, check: (report: VerifyReport, at: number) => void): Promise<void> {
  const host = hostWith(files)
  for (const at of places(files.get(name)!, step)) {
    host.disk.corrupt(pathOf(name), at, 1 << at % 8)
    const report = await verifyOn(host)
    host.disk.corrupt(pathOf(name), at, 1 << at % 8)
    try {
      check(report, at)
    } catch (cause) {
      throw new Error(`byte ${at} of ${name}: ${(cause as Error).message}`, { cause })
    }
  }
}

test('a whole store: everything is counted and nothing is wrong', async () => {
  for (const files of [closed, crashed]) {
    const report = await verify(files)
    assert.deepEqual(report.errors, [])
    assert.deepEqual(report.notes, [])
    assert.deepEqual([report.manifests, report.tables, report.logs, report.valueFiles, report.sound], [1, 3, 2, 4, 10])
    assert.deepEqual([report.entries, report.operations], [181, 7])
    assert.ok(report.blocks > 3)
    const stored = [...files].filter(([name]) => parseName(name).kind !== 'lock')
    assert.equal(report.bytes, stored.reduce((sum, [, bytes]) => sum + bytes.length, 0))
  }
})

test('of a closed store every flipped byte names its file and nothing else', async () => {
  for (const kind of ['manifest', 'table', 'log', 'value'] as const) {
    for (const name of namesOfKind(closed, kind)) {
      await flips(closed, name, kind === 'value' ? 997 : 37, ({ errors, sound }) => {
        assert.deepEqual(named(errors), [pathOf(name)])
        assert.equal(sound, 9)
        // A title that names a later format has no place of its own.
        assert.ok(typeof errors[0]!.offset === 'number' || /has format/.test(errors[0]!.message))
      })
    }
  }
})

test('a flipped byte is also found in a store whose process died; in the last write, which may be unfinished, it is noted', async () => {
  const last = namesOfKind(crashed, 'log').at(-1)!
  const lastFrame = crashed.get(last)!.length - 88 - 8
  for (const kind of ['manifest', 'table', 'log'] as const) {
    for (const name of namesOfKind(crashed, kind)) {
      await flips(crashed, name, 61, ({ errors, notes }, at) => {
        const isUnfinished = name === last && at >= lastFrame
        assert.deepEqual(named(isUnfinished ? notes : errors), [pathOf(name)])
        if (isUnfinished) assert.deepEqual(errors, [])
      })
    }
  }
})

test('several files are damaged at once: each is listed, with all of its places that can be reached', async () => {
  const host = simHost()
  const db = await openSim(host, OPTIONS)
  for (let table = 0; table < 2; table++) {
    for (let i = 0; i < 200; i++) db.putSync(`key ${i}`, valueOf(100 * table + i, 60))
    db.putSync('large', valueOf(table, 300_000))
    await within(host, db.flush())
  }
  for (const key of ['logged', 'logged too']) db.putSync(key, 'in the log')
  await within(host, db.close())
  const files = filesOf(host)
  const [table] = namesOfKind(files, 'table') as [string]
  const [value] = namesOfKind(files, 'value') as [string]
  const [manifest] = namesOfKind(files, 'manifest') as [string]
  const [log] = namesOfKind(files, 'log') as [string]
  const tableBytes = files.get(table)!.length
  for (const [name, places] of [[table, [100, tableBytes >> 1]], [value, [1000, 290_000]], [manifest, [40]], [log, [60]]] as const) {
    for (const at of places) files.set(name, flipped(files.get(name)!, at, 0x10))
  }
  const { errors, sound } = await verify(files)
  assert.deepEqual(named(errors), [table, value, manifest, log].map(pathOf).sort())
  assert.equal(sound, 2)
  assert.equal(errors.filter(({ file }) => file === pathOf(table)).length, 2)
  assert.deepEqual(errors.filter(({ file }) => file === pathOf(value)).map(({ offset }) => offset), [32, 32 + 256 * 1024 + 8])
})

test('what is missing is listed: tables, large values, log segments, all manifests', async () => {
  for (const kind of ['table', 'value', 'log'] as const) {
    for (const name of namesOfKind(closed, kind)) {
      const { errors } = await verify(withFile(closed, name, undefined))
      assert.ok(named(errors).includes(pathOf(name)), name)
      assert.match(errors.find(({ file }) => file === pathOf(name))!.message, /is missing/)
      // Of a segment that is gone the next one tells too.
      assert.ok(named(errors).length <= (kind === 'log' ? 2 : 1), named(errors).join(' '))
    }
  }
  const { errors, sound, tables, logs, valueFiles } = await verify(withFile(closed, namesOfKind(closed, 'manifest')[0]!, undefined))
  assert.deepEqual(named(errors), [DIRECTORY])
  assert.match(errors[0]!.message, /its manifest is missing/)
  assert.deepEqual([sound, tables, logs, valueFiles], [9, 3, 2, 4])
})

test('with a damaged manifest an older one tells which tables there were, and all others are checked by themselves', async () => {
  const [newest] = namesOfKind(closed, 'manifest') as [string]
  const [older] = namesOfKind(earlier, 'manifest') as [string]
  const table = namesOfKind(closed, 'table').at(-1)!
  const files = new Map(closed)
  files.set(older, earlier.get(older)!)
  const whole = await verify(files)
  assert.deepEqual([whole.errors, named(whole.notes), whole.manifests], [[], [pathOf(older)], 2])
  files.set(newest, flipped(files.get(newest)!, 50, 1))
  files.set(table, flipped(files.get(table)!, 50, 1))
  const { errors, notes, tables, manifests } = await verify(files)
  assert.deepEqual(named(errors), [pathOf(newest), pathOf(table)].sort())
  assert.deepEqual([tables, manifests], [3, 2])
  assert.match(notes.map(({ message }) => message).join('\n'), /the newest manifest cannot be read/)
  // What the older one names and is gone may have been merged since.
  const first = namesOfKind(closed, 'table')[0]!
  const gone = await verify(withFile(files, first, undefined))
  assert.deepEqual(named(gone.errors), [pathOf(newest), pathOf(table)].sort())
  assert.ok(named(gone.notes).includes(pathOf(first)))
  // And an older one that is damaged is listed like any other.
  const both = await verify(withFile(files, older, flipped(files.get(older)!, 50, 1)))
  assert.deepEqual(named(both.errors), [pathOf(newest), pathOf(older), pathOf(table)].sort())
})

test('leftovers of a crash and foreign files are noted and are no damage', async () => {
  const files = new Map(closed)
  const table = closed.get(namesOfKind(closed, 'table')[0]!)!
  files.set('00000900.table', table.slice(0, 700))
  files.set('00000901.value', new Uint8Array(10))
  files.set('tmp-123', new Uint8Array(10))
  files.set('readme.txt', new Uint8Array(10))
  files.set('00000001.log', new Uint8Array(10))
  files.set('LOCK', new Uint8Array(0))
  const report = await verify(files)
  assert.deepEqual(report.errors, [])
  assert.deepEqual(named(report.notes), ['00000001.log', '00000900.table', '00000901.value', 'readme.txt', 'tmp-123'].map(pathOf).sort())
  assert.equal(report.sound, 10)
  // With an unreadable manifest it is unknown whether they were needed.
  const [manifest] = namesOfKind(closed, 'manifest') as [string]
  const unsure = await verify(withFile(files, manifest, flipped(files.get(manifest)!, 50, 1)))
  assert.deepEqual(named(unsure.errors), ['00000900.table', '00000901.value', manifest].map(pathOf).sort())
})

test('a note of the holder that cannot be read is named', async () => {
  const note = new TextEncoder().encode('{"pid":12,"host":"a","since":"2026-01-01T00:00:00.000Z"}\n')
  assert.deepEqual((await verify(withFile(closed, 'LOCK', note))).errors, [])
  assert.deepEqual(named((await verify(withFile(closed, 'LOCK', flipped(note, 0, 4)))).errors), [pathOf('LOCK')])
})

test('a file that the system cannot read is listed, and the others are checked', async () => {
  for (const kind of ['manifest', 'table', 'log', 'value'] as const) {
    const [name] = namesOfKind(closed, kind) as [string]
    const host = hostWith(closed)
    host.disk.faults.failReads(pathOf(name))
    const { errors, sound } = await within(host, verifyClosed(DIRECTORY, { host, budget: '4 MiB' }))
    assert.deepEqual(named(errors), [pathOf(name)])
    assert.match(errors[0]!.message, /EIO/)
    assert.equal(sound, 9)
  }
})

test('after a restart of the machine the end of the log that was not durable is no damage', async () => {
  const report = await verify(crashed, true)
  assert.deepEqual(report.errors, [])
})

test('what an owner that was fenced left behind is noted, and no damage; the present owner’s files are checked', async () => {
  const first = simHost()
  const second = simHost({ disk: first.disk })
  first.disk.holdersAreUnseen = true
  const before = await openSim(first, OPTIONS)
  for (let i = 0; i < 4; i++) before.putSync(`before ${i}`, 'value')
  const after = await openSim(second, OPTIONS)
  before.put('fenced', 'value').catch(() => {})
  for (let i = 0; i < 4; i++) after.putSync(`after ${i}`, 'value')
  await within(first, before.close().catch(() => {}))
  await within(second, after.close())
  const files = filesOf(second)
  assert.deepEqual((await verify(files)).errors, [])
  for (const name of namesOfKind(files, 'log')) {
    const bytes = files.get(name)!
    const { errors, notes } = await verify(withFile(files, name, flipped(bytes, 60, 1)))
    assert.ok(errors.length === 0 ? named(notes).includes(pathOf(name)) : named(errors).join() === pathOf(name), name)
  }
})

test('a store that is open, or is opened meanwhile, is refused; a directory without a store is reported', async () => {
  const host = hostWith(closed)
  const options = { host, budget: '4 MiB' }
  const refused = async (directory: string, code: string): Promise<string> =>
    assertTyped(await within(host, verifyClosed(directory, options)).then(() => assert.fail('it was verified'), error => error), [code]).message
  const db = await openSim(host, OPTIONS)
  await refused(DIRECTORY, 'SPILLWAY_LOCKED')
  await within(host, db.close())
  await refused('/nowhere', 'SPILLWAY_UNAVAILABLE')
  host.files.makeDirectory('/empty')
  await refused('/empty', 'SPILLWAY_INVALID_ARGUMENT')
  assert.match(await refusedMeanwhile(host), /opened for writing while it was read/)
  const small = await within(host, verifyClosed(DIRECTORY, { host, budget: '1 MiB' })).then(() => assert.fail('it had room'), error => error)
  assertTyped(small, ['SPILLWAY_BUDGET_TOO_SMALL'])
})

async function refusedMeanwhile(host: SimHost): Promise<string> {
  const verifying = verifyClosed(DIRECTORY, { host, budget: '4 MiB' }).then(() => assert.fail('it was verified'), error => error)
  const db = await openSim(host, OPTIONS)
  const error = await within(host, verifying)
  await within(host, db.close())
  return assertTyped(error, ['SPILLWAY_LOCKED']).message
}

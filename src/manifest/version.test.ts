import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SEED, table, versionOf, versions } from './testing/versions.ts'
import { applyEdit, nextLogged } from './version.ts'
import type { TableRecord, Version, VersionEdit } from './version.ts'

/** In these tests a table's number says where its keys are. */
function byNumber(tables: TableRecord[]): TableRecord[] {
  return tables.sort((a, b) => a.fileNumber - b.fileNumber)
}

function apply(version: Version, edit: VersionEdit): Version {
  return applyEdit(version, edit, byNumber)
}

function shape(version: Version): [number, number, number[]][] {
  return version.runs.map(({ id, level, tables }) => [id, level, tables.map(({ fileNumber }) => fileNumber)])
}

const BASE = versionOf([
  { id: 5, level: 0, tables: [table(21)] },
  { id: 4, level: 0, tables: [table(20)] },
  { id: 2, level: 1, tables: [table(10), table(12), table(14)] },
])

test('an empty edit only counts the version up', () => {
  assert.deepEqual(apply(BASE, {}), { ...BASE, number: BASE.number + 1 })
})

test('added tables are a run of their own, with a new id', () => {
  const after = apply(BASE, { add: { tables: [table(22), table(23)], level: 0, joinsRun: false } })
  assert.deepEqual(shape(after), [...shape(BASE), [6, 0, [22, 23]]])
  assert.equal(after.nextRun, 7)
})

test('tables that join a run take their places in its order; the run keeps its id', () => {
  const after = apply(BASE, { remove: [21, 12], add: { tables: [table(11), table(13), table(30)], level: 1, joinsRun: true } })
  assert.deepEqual(shape(after), [[4, 0, [20]], [2, 1, [10, 11, 13, 14, 30]]])
  assert.equal(after.nextRun, BASE.nextRun)
})

test('tables that would join a run of a level that has none become one', () => {
  const after = apply(BASE, { remove: [10, 12, 14], add: { tables: [table(31)], level: 1, joinsRun: true } })
  assert.deepEqual(shape(after), [[5, 0, [21]], [4, 0, [20]], [6, 1, [31]]])
})

test('a run that loses its last table goes; one that loses none stays the same object', () => {
  const after = apply(BASE, { remove: [20, 12] })
  assert.deepEqual(shape(after), [[5, 0, [21]], [2, 1, [10, 14]]])
  assert.equal(after.runs[0], BASE.runs[0])
})

test('an edit that adds no tables adds no run: all of a merge may have been dropped', () => {
  const after = apply(BASE, { remove: [20, 21], add: { tables: [], level: 0, joinsRun: false } })
  assert.deepEqual(shape(after), [[2, 1, [10, 12, 14]]])
  assert.equal(after.nextRun, BASE.nextRun)
})

test('numbers are replaced, and nextFile never falls', () => {
  const strategy = { name: 'tiered', parameters: {} }
  const after = apply(BASE, { lastSeq: 2000, logFloor: 8, nextFile: 50, epoch: 3, strategy })
  assert.deepEqual(after, { ...BASE, number: BASE.number + 1, lastSeq: 2000, logFloor: 8, nextFile: 50, epoch: 3, strategy })
  assert.equal(apply(after, { nextFile: 40 }).nextFile, 50)
})

test(`tables after any edit are those before, without the removed, with the added, and runs keep their order (seed ${SEED})`, () => {
  const edits = fc.record({ level: fc.nat(4), count: fc.nat(3), joinsRun: fc.boolean(), coins: fc.infiniteStream(fc.boolean()) })
  fc.assert(fc.property(versions, edits, (version, { level, count, joinsRun, coins }) => {
    const frozen = structuredClone(version)
    const before = version.runs.flatMap(run => run.tables)
    const remove = before.filter(() => coins.next().value).map(({ fileNumber }) => fileNumber)
    const tables = Array.from({ length: count }, (_, i) => table(version.nextFile + i))
    const after = apply(version, { remove, add: { tables, level, joinsRun } })
    const expected = [...before.filter(({ fileNumber }) => !remove.includes(fileNumber)), ...tables]
    assert.deepEqual(byNumber(after.runs.flatMap(run => [...run.tables])), byNumber(expected))
    assert.ok(after.runs.every(run => run.tables.length > 0))
    assert.equal(new Set(after.runs.map(({ id }) => id)).size, after.runs.length)
    assert.ok(after.runs.every(({ id }) => id < after.nextRun))
    const kept = after.runs.map(({ id }) => id).filter(id => id < version.nextRun)
    assert.deepEqual(kept, version.runs.map(({ id }) => id).filter(id => kept.includes(id)))
    assert.deepEqual(version, frozen, 'the version before is not touched')
  }), { seed: SEED, numRuns: 300 })
})

test('numbers ahead of the log join what is flushed as soon as it reaches them', () => {
  const keep = (tables: TableRecord[]): TableRecord[] => tables
  const first = applyEdit(versionOf([], { lastSeq: 100 }), { addRuns: [[table(7)], [table(8)]], ahead: [121, 150] }, keep)
  assert.deepEqual([first.lastSeq, first.ahead, first.runs.map(run => run.level)], [100, [[121, 150]], [0, 0]])
  assert.deepEqual([nextLogged(first, 100), nextLogged(first, 120), nextLogged(first, 150)], [101, 151, 151])
  const second = applyEdit(first, { ahead: [151, 160] }, keep)
  assert.deepEqual(second.ahead, [[121, 160]])
  const third = applyEdit(second, { ahead: [170, 180] }, keep)
  assert.deepEqual(third.ahead, [[121, 160], [170, 180]])
  const flushed = applyEdit(third, { lastSeq: 120 }, keep)
  assert.deepEqual([flushed.lastSeq, flushed.ahead], [160, [[170, 180]]])
  const all = applyEdit(flushed, { lastSeq: 169 }, keep)
  assert.deepEqual([all.lastSeq, all.ahead], [180, undefined])
})

test('numbers that are ahead of nothing need no list', () => {
  const version = applyEdit(versionOf([], { lastSeq: 100 }), { ahead: [101, 130] }, tables => tables)
  assert.deepEqual([version.lastSeq, version.ahead], [130, undefined])
})

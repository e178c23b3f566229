import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HostFile } from '../host/host.ts'
import { MAX_FRAME_BYTES, MAX_LOG_KEY_BYTES, SEGMENT_HEADER_BYTES } from './frame.ts'
import {
  FILE_NUMBER, appendTo, collector, framesOf, newSegment, operation, quietHost, readBytes, readFile, textOf, textsOf, writeGroup,
} from './testing/segments.ts'
import type { OpenSegment, Operation } from './testing/segments.ts'

const SEED = 20250620

/** What was written, without zeros ahead of it. */
function contentOf({ host, path, log }: OpenSegment): Uint8Array {
  return host.files.readAll(path).slice(0, log.writtenBytes)
}

test('an empty segment holds nothing, and nothing of it is given up', () => {
  const segment = newSegment()
  assert.equal(segment.log.writtenBytes, SEGMENT_HEADER_BYTES)
  const expected = { endOffset: SEGMENT_HEADER_BYTES, operations: 0, syncedBytes: 0, droppedBytes: 0, tailBytes: 0, gap: false, isCut: false, texts: [] }
  assert.deepEqual(readFile(segment.file), { ...expected, firstSeq: undefined, nextSeq: undefined })
  assert.deepEqual(readFile(segment.file, { expectedSeq: 7 }), { ...expected, firstSeq: 7, nextSeq: 7 })
})

test('a file of no bytes is a segment whose creation was cut short', () => {
  assert.deepEqual(readBytes(new Uint8Array(0), { expectedSeq: 9 }),
    { firstSeq: 9, endOffset: 0, nextSeq: 9, operations: 0, syncedBytes: 0, droppedBytes: 0, tailBytes: 0, gap: false, isCut: false, texts: [] })
})

test('groups come back in order, of every kind, with consecutive sequence numbers', () => {
  const segment = newSegment({ firstSeq: 2 ** 40 })
  const first = [operation('a', 'one'), operation('', ''), operation('b', '', 0)]
  const second = [operation('c', 'd', 3), operation('e', '0123456789abcd', 2)]
  const visited = [...writeGroup(segment.log, first), ...writeGroup(segment.log, second)]
  const expected = textsOf(2 ** 40, [...first, ...second])
  assert.deepEqual(visited, expected)
  const read = readFile(segment.file)
  assert.deepEqual(read.texts, expected)
  assert.deepEqual([read.firstSeq, read.nextSeq, read.operations], [2 ** 40, 2 ** 40 + 5, 5])
  assert.equal(read.endOffset, segment.file.size())
  assert.equal(segment.log.writtenBytes, segment.file.size())
})

test('the longest key and the largest frame go through; more is refused and changes nothing', () => {
  const segment = newSegment({ bufferBytes: 2 * MAX_FRAME_BYTES })
  const { log } = segment
  const longKey = { kind: 1, key: new Uint8Array(MAX_LOG_KEY_BYTES).fill(7), value: new Uint8Array(256 * 1024).fill(8) }
  const room = MAX_FRAME_BYTES - 40 - 7 - 7
  const largest = { kind: 1, key: new Uint8Array(1).fill(1), value: new Uint8Array(room - 1).fill(2) }
  assert.equal(appendTo(log, longKey), true)
  assert.throws(() => appendTo(log, { ...longKey, key: new Uint8Array(MAX_LOG_KEY_BYTES + 1) }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.equal(appendTo(log, { ...largest, value: new Uint8Array(room) }), false)
  assert.equal(appendTo(log, largest), true)
  log.commit(true, collector().visit)
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [longKey, largest]))
  assert.deepEqual(framesOf(contentOf(segment)).map(({ continues }) => continues), [true, false])
})

test('a group that outgrows a frame goes on in the next one, and is one write all the same', () => {
  const segment = newSegment({ bufferBytes: 2 * 1024 * 1024 })
  const group = [1, 2, 3, 4, 5].map(i => ({ kind: 1, key: Uint8Array.of(i), value: new Uint8Array(200 * 1024).fill(i) }))
  const before = segment.host.disk.faults.operations
  assert.deepEqual(writeGroup(segment.log, group), textsOf(1, group))
  assert.equal(segment.host.disk.faults.operations - before, 1)
  const frames = framesOf(contentOf(segment))
  assert.deepEqual(frames.map(({ operations, continues }) => [operations, continues]), [[1, true], [1, true], [1, true], [1, true], [1, false]])
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, group))
})

test('groups without a requested write stay in the buffer and go out before the next group with one', () => {
  const segment = newSegment()
  const { log, file } = segment
  const visited = writeGroup(log, [operation('a', '1')], [], false)
  assert.equal(log.hasUnwritten, true)
  assert.equal(file.size(), SEGMENT_HEADER_BYTES)
  visited.push(...writeGroup(log, [operation('b', '2'), operation('c', '3')], [], false))
  visited.push(...writeGroup(log, [operation('d', '4')]))
  assert.equal(log.hasUnwritten, false)
  visited.push(...writeGroup(log, [operation('e', '5')], [], false))
  const four = textsOf(1, [operation('a', '1'), operation('b', '2'), operation('c', '3'), operation('d', '4')])
  assert.deepEqual(readFile(file).texts, four)
  log.writeOut()
  assert.deepEqual(readFile(file).texts, [...four, textOf(5, operation('e', '5'))])
  assert.deepEqual(readFile(file).texts, visited)
  log.writeOut()
  log.commit(true, () => assert.fail('there is nothing to visit'))
})

test('a commit of nothing that asks for a write writes what waits', () => {
  const segment = newSegment()
  writeGroup(segment.log, [operation('a')], [], false)
  segment.log.commit(true, () => assert.fail('the group was visited already'))
  assert.deepEqual(readFile(segment.file).texts, [textOf(1, operation('a'))])
})

test('an append that does not fit changes nothing', () => {
  const segment = newSegment({ bufferBytes: 1024 })
  assert.equal(appendTo(segment.log, operation('a', 'x'.repeat(500))), true)
  assert.equal(appendTo(segment.log, operation('b', 'y'.repeat(500))), false)
  assert.equal(segment.log.pendingOperations, 1)
  assert.equal(appendTo(segment.log, operation('c', 'z')), true)
  segment.log.commit(true, collector().visit)
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [operation('a', 'x'.repeat(500)), operation('c', 'z')]))
})

test('rewinding to a mark forgets what came after, even where a frame was sealed in between', () => {
  const segment = newSegment({ bufferBytes: 1024 * 1024 })
  const { log } = segment
  const large = { kind: 1, key: Uint8Array.of(1), value: new Uint8Array(300 * 1024).fill(1) }
  appendTo(log, operation('kept', '1'))
  const mark = log.mark()
  appendTo(log, large)
  appendTo(log, large)
  assert.equal(log.pendingOperations, 3)
  log.rewind(mark)
  assert.equal(log.pendingOperations, 1)
  appendTo(log, operation('after', '2'))
  log.commit(true, collector().visit)
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [operation('kept', '1'), operation('after', '2')]))
})

test('a spilled group is whole once it is committed, and nothing before', () => {
  const segment = newSegment()
  writeGroup(segment.log, [operation('before')])
  const group = [operation('a'), operation('b'), operation('c'), operation('d')]
  for (const each of group.slice(0, 3)) {
    appendTo(segment.log, each)
    segment.log.spill()
    const read = readFile(segment.file)
    assert.deepEqual(read.texts, [textOf(1, operation('before'))])
    assert.equal(read.nextSeq, 2)
    assert.ok(read.droppedBytes > 0)
  }
  appendTo(segment.log, group[3]!)
  const { texts, visit } = collector()
  segment.log.commit(true, visit)
  assert.deepEqual(texts, [textOf(5, group[3]!)], 'what was spilled is not in the buffer any more')
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [operation('before'), ...group]))
})

test('a spilled group that is abandoned leaves no trace, and its sequence numbers are used again', () => {
  const segment = newSegment()
  const { log } = segment
  writeGroup(log, [operation('before')])
  const bytes = log.writtenBytes
  appendTo(log, operation('a'))
  log.spill()
  appendTo(log, operation('b'))
  log.abandon(bytes, 2)
  assert.equal(segment.file.size(), bytes)
  assert.deepEqual(writeGroup(log, [operation('after')]), [textOf(2, operation('after'))])
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [operation('before'), operation('after')]))
})

test('misuse that would make an unreadable log is refused', () => {
  const spilled = newSegment()
  appendTo(spilled.log, operation('a'))
  spilled.log.spill()
  assert.throws(() => spilled.log.commit(true, collector().visit), /must not end with a spill/)
  const waiting = newSegment()
  writeGroup(waiting.log, [operation('a')], [], false)
  appendTo(waiting.log, operation('b'))
  assert.throws(() => waiting.log.spill(), /must be written before/)
  assert.throws(() => waiting.log.writeOut(), /must be committed before/)
})

test('a write that fails is cut off; its group is forgotten, what waited before it is not', () => {
  const segment = newSegment()
  const { log, host, file } = segment
  writeGroup(log, [operation('a')])
  writeGroup(log, [operation('waits')], [], false)
  appendTo(log, operation('fails', 'x'.repeat(1000)))
  host.disk.faults.failAt(host.disk.faults.operations + 1, 'ENOSPC')
  assert.throws(() => log.commit(true, () => assert.fail('a group that failed is not visited')), { code: 'ENOSPC' })
  assert.equal(file.size(), log.writtenBytes)
  assert.equal(log.pendingOperations, 0)
  assert.equal(log.hasUnwritten, true)
  assert.deepEqual(writeGroup(log, [operation('b')]), [textOf(3, operation('b'))])
  assert.deepEqual(readFile(file).texts, textsOf(1, [operation('a'), operation('waits'), operation('b')]))
})

/** A file whose next write reaches the disk whole and fails all the same, and whose next truncations fail. */
class LyingFile implements HostFile {
  readonly path: string
  failWrites = 0
  failTruncates = 0
  readonly #file: HostFile

  constructor(file: HostFile) {
    this.#file = file
    this.path = file.path
  }

  size(): number { return this.#file.size() }
  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#file.readSync(target, offset, length, position)
  }
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#file.read(target, offset, length, position)
  }
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.#file.writeSync(source, offset, length, position)
    if (this.failWrites-- > 0) throw Object.assign(new Error('write failed'), { code: 'EIO' })
  }
  syncSync(): void { this.#file.syncSync() }
  sync(): Promise<void> { return this.#file.sync() }
  truncate(length: number): void {
    if (this.failTruncates-- > 0) throw Object.assign(new Error('truncate failed'), { code: 'EIO' })
    this.#file.truncate(length)
  }
  close(): void { this.#file.close() }
}

function lyingSegment(): OpenSegment & { file: LyingFile } {
  const segment = newSegment({ wrap: file => new LyingFile(file) })
  return { ...segment, file: segment.file as LyingFile }
}

test('what a failed write left behind never comes back, also when it could not be cut off at once', () => {
  const { log, file } = lyingSegment()
  writeGroup(log, [operation('waits')], [], false)
  appendTo(log, operation('fails'))
  file.failWrites = 1
  file.failTruncates = 1
  assert.throws(() => log.commit(true, collector().visit), { message: 'write failed' })
  // The frame of the failed group stands where one would, right behind the frame that is written now.
  log.writeOut()
  assert.deepEqual(readFile(file).texts, [textOf(1, operation('waits'))])
})

test('while what a failed write left behind cannot be cut off, nothing is written', () => {
  const { log, file } = lyingSegment()
  appendTo(log, operation('fails'))
  file.failWrites = 1
  file.failTruncates = 2
  assert.throws(() => log.commit(true, collector().visit), { message: 'write failed' })
  appendTo(log, operation('next'))
  assert.throws(() => log.commit(true, collector().visit), { message: 'truncate failed' })
  assert.deepEqual(writeGroup(log, [operation('last')]), [textOf(1, operation('last'))])
  assert.deepEqual(readFile(file).texts, [textOf(1, operation('last'))])
})

test('a spilled group that is abandoned is cut off later if it cannot be at once', () => {
  const { log, file } = lyingSegment()
  writeGroup(log, [operation('before')])
  const bytes = log.writtenBytes
  for (const each of [operation('a'), operation('b')]) {
    appendTo(log, each)
    log.spill()
  }
  file.failTruncates = 1
  log.abandon(bytes, 2)
  assert.ok(file.size() > bytes)
  assert.equal(log.writtenBytes, bytes)
  writeGroup(log, [operation('c')])
  assert.deepEqual(readFile(file).texts, textsOf(1, [operation('before'), operation('c')]))
})

test('closing cuts off what a failed write left behind', () => {
  const { log, file, host, path } = lyingSegment()
  appendTo(log, operation('fails'))
  file.failWrites = 1
  file.failTruncates = 1
  assert.throws(() => log.commit(true, collector().visit), { message: 'write failed' })
  log.close()
  assert.equal(host.files.readAll(path).length, SEGMENT_HEADER_BYTES)
})

test('frames say how much of their segment was durable when they were written', async () => {
  const segment = newSegment()
  const { log } = segment
  assert.equal(log.isSynced, false)
  writeGroup(log, [operation('a')])
  const first = log.writtenBytes
  log.syncSync()
  assert.equal(log.isSynced, true)
  writeGroup(log, [operation('b')])
  const syncing = log.sync()
  writeGroup(log, [operation('c')])
  await syncing
  assert.equal(log.isSynced, false, 'what was written after the sync began is not covered')
  writeGroup(log, [operation('d')])
  const frames = framesOf(contentOf(segment))
  assert.deepEqual(frames.map(({ syncedBytes }) => syncedBytes), [0, first, first, frames[1]!.end])
})

const sizes = fc.oneof({ weight: 8, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 150_000 }) })
const operations = fc.array(fc.record({
  kind: fc.nat(3),
  key: fc.uint8Array({ maxLength: 20 }),
  value: fc.tuple(sizes, fc.nat(255)).map(([length, fill]) => new Uint8Array(length).fill(fill)),
}), { minLength: 1, maxLength: 6 })
const steps = fc.array(fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('group' as const), operations, write: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), operations, isGone: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rewind' as const), operations, more: operations, write: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({
    do: fc.constant('spill' as const), operations, more: operations, fate: fc.constantFrom('commit', 'abandon', 'fail'),
  }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('writeOut' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
), { maxLength: 14 })

/** Append all or nothing, making room first if need be. */
function appendAll({ log }: OpenSegment, list: readonly Operation[]): void {
  const mark = log.mark()
  if (list.every(each => appendTo(log, each))) return
  log.rewind(mark)
  log.writeOut()
  for (const each of list) assert.ok(appendTo(log, each))
}

test(`whatever is committed, rewound, spilled, abandoned or fails: the file holds what was committed and written (seed ${SEED})`, () => {
  fc.assert(fc.property(steps, fc.nat(1000), (list, seed) => {
    const segment = newSegment({ host: quietHost(seed + 1), bufferBytes: 1024 * 1024 })
    const { log, host, file } = segment
    const committed: string[] = []
    let written = 0
    const visit = (texts: string[]): void => { committed.push(...texts) }
    const commit = (write: boolean): void => {
      const { texts, visit: collect } = collector()
      log.commit(write, collect)
      visit(texts)
    }
    for (const step of list) {
      const nextSeq = committed.length + 1
      if (step.do === 'group') {
        appendAll(segment, step.operations)
        commit(step.write)
        assert.deepEqual(committed.slice(nextSeq - 1), textsOf(nextSeq, step.operations))
      } else if (step.do === 'fail') {
        appendAll(segment, step.operations)
        if (!log.hasUnwritten) written = committed.length
        host.disk.faults.failAt(host.disk.faults.operations + 1, 'EIO', step.isGone)
        assert.throws(() => commit(true), { code: 'EIO' })
        host.disk.faults.clearFailAt()
      } else if (step.do === 'rewind') {
        appendAll(segment, step.operations)
        const mark = log.mark()
        for (const each of step.more) appendTo(log, each)
        log.rewind(mark)
        commit(step.write)
        assert.deepEqual(committed.slice(nextSeq - 1), textsOf(nextSeq, step.operations))
      } else if (step.do === 'spill') {
        log.writeOut()
        written = committed.length
        const bytes = log.writtenBytes
        appendAll(segment, step.operations)
        log.spill()
        appendAll(segment, step.more)
        if (step.fate === 'commit') {
          log.commit(true, collector().visit)
          visit(textsOf(nextSeq, [...step.operations, ...step.more]))
        } else {
          if (step.fate === 'fail') {
            host.disk.faults.failAt(host.disk.faults.operations + 1)
            assert.throws(() => log.commit(true, collector().visit), { code: 'EIO' })
          }
          log.abandon(bytes, nextSeq)
        }
      } else if (step.do === 'writeOut') {
        log.writeOut()
      } else {
        log.syncSync()
      }
      if (!log.hasUnwritten) written = committed.length
      assert.equal(log.pendingOperations, 0)
      const read = readFile(file, { expectedSeq: 1 })
      if (file.size() === log.writtenBytes) {
        assert.deepEqual(read.texts, committed.slice(0, written))
        assert.equal(read.endOffset, log.writtenBytes)
        assert.equal(read.nextSeq, written + 1)
      } else {
        assert.deepEqual(read.texts.slice(0, written), committed.slice(0, written), 'a failed write is not cut off yet')
      }
    }
    log.writeOut()
    appendAll(segment, [operation('last')])
    commit(true)
    assert.deepEqual(readFile(file).texts, committed)
  }), { seed: SEED, numRuns: 120 })
})

test('the number of a segment beyond 2^32 is stored whole', () => {
  const fileNumber = 2 ** 40 + FILE_NUMBER
  const segment = newSegment({ fileNumber })
  writeGroup(segment.log, [operation('a')])
  assert.deepEqual(readFile(segment.file, { fileNumber }).texts, [textOf(1, operation('a'))])
  assert.throws(() => readFile(segment.file, { fileNumber: FILE_NUMBER }), { code: 'SPILLWAY_CORRUPTION' })
})

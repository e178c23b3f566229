import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpillwayError } from '../base/errors.ts'
import { SEGMENT_HEADER_BYTES, checksum, writeU32, writeU64 } from './frame.ts'
import {
  FILE_NUMBER, KERNELS, framesOf, newSegment, operation, quietHost, readBytes, readFile, textsOf, writeGroup,
} from './testing/segments.ts'
import type { FramePlace, Operation, ReadOptions, ReadSegment, SegmentOptions } from './testing/segments.ts'

const SEED = 20250621
const OTHER_MOUNT: ReadOptions = { mountId: 'boot-2' }

interface Group {
  operations: string[]
  /** Spilled after these, so that it has several small frames. */
  spills?: number[]
  /** Synced before. */
  synced?: boolean
}

interface WrittenSegment {
  bytes: Uint8Array
  frames: FramePlace[]
  texts: string[]
}

function segmentOf(groups: readonly Group[], options: SegmentOptions = {}): WrittenSegment {
  const segment = newSegment(options)
  const all = groups.flatMap(({ operations, spills, synced }) => {
    const list = operations.map(name => operation(name, `value of ${name}`))
    if (synced === true) segment.log.syncSync()
    writeGroup(segment.log, list, spills)
    return list
  })
  // A segment that was synced more than once is longer while it is open.
  segment.log.close()
  const bytes = segment.host.files.readAll(segment.path)
  return { bytes, frames: framesOf(bytes), texts: textsOf(options.firstSeq ?? 1, all) }
}

/** How many operations lie in whole batches that end at or before `end`. */
function wholeBefore(frames: readonly FramePlace[], end: number): { operations: number, end: number } {
  const whole = { operations: 0, end: SEGMENT_HEADER_BYTES }
  let operations = 0
  for (const frame of frames) {
    if (frame.end > end) break
    operations += frame.operations
    if (!frame.continues) {
      whole.operations = operations
      whole.end = frame.end
    }
  }
  return whole
}

/** What reading gives, or the CorruptionError it ends with; anything else is a failure of the test. */
function readOrRefuse(bytes: Uint8Array, options: ReadOptions = {}): ReadSegment | undefined {
  try {
    return readBytes(bytes, options)
  } catch (error) {
    const { name, details } = error as SpillwayError
    assert.equal(name, 'CorruptionError', String(error))
    assert.equal(details['file'], '/read.log')
    assert.ok(Number.isInteger(details['offset']) && (details['offset'] as number) < bytes.length)
    return undefined
  }
}

const GROUPS: Group[] = [
  { operations: ['a'] },
  { operations: ['b', 'c', 'd'], spills: [1, 2] },
  { operations: ['e', 'f'] },
  { operations: ['g', 'h'], spills: [1] },
]

test('a segment cut short anywhere gives the whole batches before the cut, on the same boot and after another', () => {
  const { bytes, frames, texts } = segmentOf(GROUPS)
  assert.deepEqual(readBytes(bytes).texts, texts)
  for (let length = 0; length <= bytes.length; length++) {
    const whole = wholeBefore(frames, length)
    const end = length < SEGMENT_HEADER_BYTES ? 0 : whole.end
    for (const options of [{}, OTHER_MOUNT, { mountId: '' }]) {
      const read = readBytes(bytes.subarray(0, length), { ...options, expectedSeq: 1 })
      assert.deepEqual(read.texts, texts.slice(0, whole.operations), `cut at ${length}`)
      assert.deepEqual([read.endOffset, read.droppedBytes, read.nextSeq, read.gap], [end, length - end, whole.operations + 1, false])
    }
  }
})

test(`a cut segment with any garbage behind the cut gives no more than the whole batches before it (seed ${SEED})`, () => {
  const { bytes, frames, texts } = segmentOf(GROUPS)
  fc.assert(fc.property(fc.integer({ min: SEGMENT_HEADER_BYTES, max: bytes.length }), fc.uint8Array({ maxLength: 100 }), (length, garbage) => {
    const damaged = new Uint8Array(length + garbage.length)
    damaged.set(bytes.subarray(0, length))
    damaged.set(garbage, length)
    let undamaged = length
    while (undamaged < damaged.length && damaged[undamaged] === bytes[undamaged]) undamaged++
    const { operations } = wholeBefore(frames, undamaged)
    assert.deepEqual(readBytes(damaged).texts, texts.slice(0, operations))
  }), { seed: SEED, numRuns: 500 })
})

function flipped(bytes: Uint8Array, offset: number, mask: number): Uint8Array {
  const copy = bytes.slice()
  copy[offset]! ^= mask
  return copy
}

test('any changed byte, on the same boot: an error with file and offset, or in the last frame a prefix', () => {
  const { bytes, frames, texts } = segmentOf(GROUPS)
  const last = frames.at(-1)!
  const { operations } = wholeBefore(frames, frames.at(-3)!.end)
  for (let offset = 0; offset < bytes.length; offset++) {
    for (const mask of [1, 8, 0x80, 0xff]) {
      const read = readOrRefuse(flipped(bytes, offset, mask))
      if (offset < last.start) assert.equal(read, undefined, `byte ${offset} ^ ${mask} was not noticed`)
      else assert.deepEqual(read?.texts, texts.slice(0, operations), `byte ${offset} ^ ${mask}`)
    }
  }
})

test('any changed byte, after another boot: a prefix up to it, but an error where the log says that it was durable', () => {
  const { bytes, frames, texts } = segmentOf([
    { operations: ['a'] }, { operations: ['b', 'c'], spills: [1] }, { operations: ['d'], synced: true },
    { operations: ['e'] }, { operations: ['f'], synced: true }, { operations: ['g', 'h'], spills: [1] }, { operations: ['i'] },
  ])
  for (let offset = 0; offset < bytes.length; offset++) {
    for (const mask of [1, 8, 0x80, 0xff]) {
      const read = readOrRefuse(flipped(bytes, offset, mask), OTHER_MOUNT)
      const frame = frames.find(({ end }) => offset < end)!
      const isDurable = offset < SEGMENT_HEADER_BYTES || frames.some(later => later.start > frame.start && later.syncedBytes > frame.start)
      if (isDurable) assert.equal(read, undefined, `byte ${offset} ^ ${mask} was durable`)
      else assert.deepEqual(read?.texts, texts.slice(0, wholeBefore(frames, frame.start).operations), `byte ${offset} ^ ${mask}`)
    }
  }
})

test('a header that a power loss left unfinished hides frames that were not called durable, and no others', () => {
  const never = segmentOf([{ operations: ['a'] }, { operations: ['b'] }])
  const synced = segmentOf([{ operations: ['a'] }, { operations: ['b'], synced: true }])
  for (let kept = 0; kept < SEGMENT_HEADER_BYTES; kept++) {
    const lost = never.bytes.slice().fill(0, kept, SEGMENT_HEADER_BYTES)
    const read = readBytes(lost, { ...OTHER_MOUNT, expectedSeq: 1 })
    assert.deepEqual([read.texts, read.endOffset, read.nextSeq, read.droppedBytes], [[], 0, 1, lost.length])
    assert.equal(readOrRefuse(synced.bytes.slice().fill(0, kept, SEGMENT_HEADER_BYTES), OTHER_MOUNT), undefined)
  }
})

test('two frames that changed places are not taken for each other', () => {
  const { bytes, frames } = segmentOf([{ operations: ['a'] }, { operations: ['b'] }, { operations: ['c'] }])
  const [first, second] = frames as [FramePlace, FramePlace]
  const swapped = bytes.slice()
  swapped.set(bytes.subarray(first.start, first.end), second.start)
  swapped.set(bytes.subarray(second.start, second.end), first.start)
  assert.equal(readOrRefuse(swapped), undefined)
  assert.deepEqual(readBytes(swapped, OTHER_MOUNT).texts, [])
  assert.deepEqual(readBytes(swapped.subarray(0, second.end)).texts, [])
})

test('a frame that stands twice is delivered once', () => {
  const { bytes, frames, texts } = segmentOf([{ operations: ['a'] }, { operations: ['b'] }])
  const [first, second] = frames as [FramePlace, FramePlace]
  const repeated = bytes.slice()
  repeated.set(bytes.subarray(first.start, first.end), second.start)
  assert.deepEqual(readBytes(repeated).texts, texts.slice(0, 1))
})

test('a frame of another segment does not pass, even at its own offset and with the right sequence number', () => {
  const own = segmentOf([{ operations: ['a'] }, { operations: ['b'] }])
  const other = segmentOf([{ operations: ['a'] }, { operations: ['x'] }], { fileNumber: FILE_NUMBER + 1 })
  const mixed = own.bytes.slice()
  mixed.set(other.bytes.subarray(own.frames[1]!.start), own.frames[1]!.start)
  assert.deepEqual(readBytes(mixed).texts, own.texts.slice(0, 1))
})

test('a segment under the number of another is refused', () => {
  const { bytes } = segmentOf(GROUPS)
  const empty = segmentOf([])
  for (const options of [{}, OTHER_MOUNT]) {
    assert.equal(readOrRefuse(bytes, { ...options, fileNumber: FILE_NUMBER + 1 }), undefined)
    assert.equal(readOrRefuse(empty.bytes, { ...options, fileNumber: FILE_NUMBER + 1 }), undefined)
  }
})

test('a missing segment shows in the sequence numbers: damage on the same boot, a gap after another', () => {
  const { bytes, texts } = segmentOf([{ operations: ['a', 'b'] }, { operations: ['c'] }], { firstSeq: 10 })
  assert.deepEqual(readBytes(bytes, { expectedSeq: 10 }).texts, texts)
  for (const expected of [{ expectedSeq: 9 }, { expectedSeq: 1 }, { latestFirstSeq: 9 }]) {
    assert.equal(readOrRefuse(bytes, expected), undefined)
    const read = readBytes(bytes, { ...OTHER_MOUNT, ...expected })
    assert.deepEqual([read.gap, read.texts, read.operations, read.nextSeq], [true, [], 0, expected.expectedSeq ?? 9])
    assert.equal(read.droppedBytes, bytes.length - SEGMENT_HEADER_BYTES)
  }
  assert.deepEqual(readBytes(bytes, { latestFirstSeq: 10 }).texts, texts)
  for (const options of [{}, OTHER_MOUNT]) {
    assert.equal(readOrRefuse(bytes, { ...options, expectedSeq: 11 }), undefined, 'too early is damage at any rate')
  }
})

test('a gap before a segment that was synced is damage: the segments before it were durable first', () => {
  const { bytes, texts } = segmentOf([{ operations: ['a'] }, { operations: ['b'], synced: true }], { firstSeq: 10 })
  assert.deepEqual(readBytes(bytes, { ...OTHER_MOUNT, expectedSeq: 10 }).texts, texts)
  assert.equal(readOrRefuse(bytes, { ...OTHER_MOUNT, expectedSeq: 9 }), undefined)
})

test('frames of any contents are refused or ignored, never obeyed: counts, lengths, kinds and flags', () => {
  const { bytes, frames, texts } = segmentOf([{ operations: ['a', 'b'] }, { operations: ['c', 'd'] }])
  const { start, end } = frames[1]!
  const changes: [string, (copy: Uint8Array) => void][] = [
    ['more operations', copy => writeU32(copy, start + 32, 3)],
    ['fewer operations', copy => writeU32(copy, start + 32, 1)],
    ['no operations', copy => writeU32(copy, start + 32, 0)],
    ['four billion operations', copy => writeU32(copy, start + 32, 0xffff_ffff)],
    ['an unknown flag', copy => writeU32(copy, start + 36, 2)],
    ['an unknown kind', copy => { copy[start + 40] = 4 }],
    ['a long key', copy => { copy[start + 42] = 0xff }],
    ['a long value', copy => writeU32(copy, start + 43, 0xffff_fff0)],
    ['a sequence number beyond 2^53', copy => writeU32(copy, start + 20, 0xffff_ffff)],
  ]
  for (const [what, change] of changes) {
    const copy = bytes.slice()
    change(copy)
    checksum(KERNELS, copy, start + 16, end, FILE_NUMBER, start)
    writeU32(copy, start + 8, KERNELS.hashLow)
    writeU32(copy, start + 12, KERNELS.hashHigh)
    const read = readOrRefuse(copy)
    if (read !== undefined) assert.deepEqual(read.texts, texts.slice(0, 2), what)
  }
})

test('a payload length of any size is refused before it is used', () => {
  const { bytes, frames, texts } = segmentOf([{ operations: ['a'] }, { operations: ['b'] }])
  const { start } = frames[1]!
  for (const length of [0, 1, 0x7fff_ffff, 0x8000_0000, 0x8000_0007, 0xffff_fff8, 0xffff_fff9, 0xffff_ffff, 384 * 1024, 384 * 1024 - 40]) {
    const copy = bytes.slice()
    writeU32(copy, start + 4, length)
    assert.deepEqual(readBytes(copy).texts, texts.slice(0, 1), `length ${length}`)
  }
})

test('a segment of a newer format is refused as such', () => {
  const { bytes } = segmentOf([{ operations: ['a'] }])
  writeU32(bytes, 8, 2)
  checksum(KERNELS, bytes, 0, SEGMENT_HEADER_BYTES - 8, FILE_NUMBER, 0)
  writeU32(bytes, 32, KERNELS.hashLow)
  writeU32(bytes, 36, KERNELS.hashHigh)
  assert.throws(() => readBytes(bytes), { code: 'SPILLWAY_UNAVAILABLE' })
})

test('frames that a user stored as a value are not taken for frames of the log', () => {
  const inner = segmentOf([{ operations: ['inner'] }])
  const segment = newSegment()
  const value = inner.bytes.subarray(SEGMENT_HEADER_BYTES)
  const pad = new Uint8Array(1)
  // A frame header of 40 bytes, an operation's 7 and a key of 1 put the value at a multiple of 8.
  segment.log.append(1, pad, 0, 1, value, 0, value.length)
  segment.log.commit(true, () => {})
  const bytes = segment.host.files.readAll(segment.path)
  bytes[SEGMENT_HEADER_BYTES + 8]! ^= 1
  assert.deepEqual(readBytes(bytes).texts, [])
})

test('a long stretch of good frames behind an unfinished one is searched once, not once for each', () => {
  const segment = newSegment()
  for (let i = 0; i < 3000; i++) writeGroup(segment.log, [operation(`key ${i}`)])
  const bytes = segment.host.files.readAll(segment.path)
  bytes[SEGMENT_HEADER_BYTES]! ^= 1
  const host = quietHost()
  const file = host.files.create('/read.log')
  file.writeSync(bytes, 0, bytes.length, 0)
  const before = host.disk.faults.operations
  assert.deepEqual(readFile(file, OTHER_MOUNT).texts, [])
  const reads = host.disk.faults.operations - before
  assert.ok(reads < 3000 * 2 + 100, `${reads} reads`)
})

test(`after a power loss: a prefix that holds at least what was synced, whatever the disk kept (seed ${SEED})`, () => {
  const group = fc.record({
    operations: fc.array(fc.nat(700), { minLength: 1, maxLength: 4 }),
    isSpilled: fc.boolean(), syncs: fc.nat(4).map(chance => chance === 0),
  })
  fc.assert(fc.property(fc.array(group, { minLength: 1, maxLength: 8 }), fc.nat(100_000), (groups, seed) => {
    const host = quietHost(seed + 1)
    const segment = newSegment({ host, mountId: host.mountId() })
    host.files.syncDirectory('/')
    const all = []
    let durable = 0
    for (const { operations, isSpilled, syncs } of groups) {
      const list = operations.map(length => operation('key', 'x'.repeat(length)))
      writeGroup(segment.log, list, isSpilled ? list.map((_, i) => i).filter(i => i > 0) : [])
      all.push(...list)
      if (!syncs) continue
      segment.log.syncSync()
      durable = all.length
    }
    const texts = textsOf(1, all)
    const after = host.crash()
    const file = after.files.openWrite(segment.path)
    const read = readFile(file, { mountId: after.mountId(), expectedSeq: 1 })
    assert.deepEqual(read.texts, texts.slice(0, read.operations))
    assert.ok(read.operations >= durable, `${read.operations} of ${durable} durable operations came back`)
    const whole = groups.map((_, i) => groups.slice(0, i + 1).reduce((sum, { operations }) => sum + operations.length, 0))
    assert.ok(read.operations === 0 || whole.includes(read.operations), 'a batch was torn')
    // What was given up is cut off, and then the segment reads the same without it, also on a boot that is the same.
    file.truncate(read.endOffset)
    const again = readFile(file, { mountId: host.mountId(), expectedSeq: 1 })
    assert.deepEqual([again.texts, again.droppedBytes], [read.texts, 0])
  }), { seed: SEED, numRuns: 400 })
})

test('zeros that a writer left ahead of itself end a segment without anything being given up', () => {
  const segment = newSegment()
  const written: Operation[] = []
  for (let i = 0; i < 3; i++) {
    written.push(operation(`key ${i}`))
    writeGroup(segment.log, written.slice(-1))
    segment.log.syncSync()
  }
  const { writtenBytes } = segment.log
  assert.ok(segment.file.size() > writtenBytes + 100_000, 'the third sync finds its blocks there')
  for (const options of [{}, OTHER_MOUNT]) {
    const read = readFile(segment.file, options)
    assert.deepEqual([read.texts, read.endOffset, read.droppedBytes], [textsOf(1, written), writtenBytes, 0])
    assert.equal(read.tailBytes, segment.file.size() - writtenBytes)
  }
  const torn = Uint8Array.of(0x53, 0x50)
  segment.file.writeSync(torn, 0, torn.length, writtenBytes)
  assert.ok(readFile(segment.file).droppedBytes > 0, 'a frame that was begun is given up')
  segment.log.close()
  assert.equal(segment.host.files.readAll(segment.path).length, writtenBytes, 'nothing is left of them when it is closed')
})

test('a disk with no room for zeros ahead fails no sync', () => {
  let refuses = false
  const segment = newSegment({
    wrap: file => new Proxy(file, {
      get(target, name) {
        if (name === 'writeSync' && refuses) return () => { throw Object.assign(new Error('no space'), { code: 'ENOSPC' }) }
        const value = Reflect.get(target, name) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
  })
  writeGroup(segment.log, [operation('a')])
  segment.log.syncSync()
  writeGroup(segment.log, [operation('b')])
  refuses = true
  segment.log.syncSync()
  refuses = false
  assert.equal(segment.log.isSynced, true)
  assert.equal(segment.log.hasTail, false)
  writeGroup(segment.log, [operation('c')])
  assert.deepEqual(readFile(segment.file).texts, textsOf(1, [operation('a'), operation('b'), operation('c')]))
})

test('the file number in the header is compared, not only hashed', () => {
  const { bytes } = segmentOf([])
  writeU64(bytes, 16, FILE_NUMBER + 1)
  checksum(KERNELS, bytes, 0, SEGMENT_HEADER_BYTES - 8, FILE_NUMBER, 0)
  writeU32(bytes, 32, KERNELS.hashLow)
  writeU32(bytes, 36, KERNELS.hashHigh)
  assert.equal(readOrRefuse(bytes), undefined)
})

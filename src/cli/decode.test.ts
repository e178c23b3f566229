import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { decoded } from './decode.ts'
import { CommandError } from './errors.ts'

const seed = 3301

/** What comes out of bytes that are cut at these places. */
async function decode(bytes: Uint8Array, cuts: readonly number[] = [], signal = new AbortController().signal): Promise<Buffer> {
  const edges = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  const chunks = async function *(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i + 1 < edges.length; i++) yield bytes.subarray(edges[i]!, edges[i + 1]!)
  }
  const parts: Uint8Array[] = []
  for await (const chunk of decoded(chunks(), 'the file', signal)) parts.push(chunk)
  return Buffer.concat(parts)
}

function utf16(text: string, isBigEndian: boolean): Buffer {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le')
  return isBigEndian ? bytes.swap16() : bytes
}

function refused(pattern: RegExp): (error: unknown) => boolean {
  return error => error instanceof CommandError && error.code === 'UNREADABLE_INPUT' && error.message.startsWith('the file: ') && pattern.test(error.message)
}

test(`plain text passes as it is, gzip and UTF-16 as what they hold, wherever they are cut (seed ${seed})`, async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 })
  await fc.assert(fc.asyncProperty(text, fc.array(fc.nat(200), { maxLength: 8 }), fc.boolean(), async (written, cuts, isBigEndian) => {
    const plain = Buffer.from(`a${written}`)
    assert.deepEqual(await decode(plain, cuts), plain)
    assert.deepEqual(await decode(gzipSync(plain), cuts), plain)
    assert.deepEqual(await decode(utf16(`a${written}`, isBigEndian), cuts), plain)
    assert.deepEqual(await decode(gzipSync(utf16(`a${written}`, isBigEndian)), cuts), plain)
  }), { seed, numRuns: 200 })
})

test('every piece of a character may be the end of a chunk', async () => {
  const text = 'a\u{1f600}é\u4e00\ufeff\u{10ffff}'
  for (const isBigEndian of [false, true]) {
    const bytes = utf16(text, isBigEndian)
    for (let cut = 0; cut <= bytes.length; cut++) assert.equal((await decode(bytes, [cut, cut + 1])).toString(), text)
    assert.equal((await decode(bytes, [...bytes.keys()])).toString(), text)
  }
})

test('nothing, and the beginning of what could become something', async () => {
  for (const bytes of [[], [0x1f], [0x1f, 0x8b], [0xef, 0xbb], [0xef, 0xbb, 0xbf], [0x50, 0x4b], [0x42, 0x5a, 0x68, 0x39, 0x61]]) {
    assert.deepEqual([...await decode(Uint8Array.from(bytes), [1])], bytes)
  }
  assert.equal((await decode(Uint8Array.of(0xff, 0xfe))).length, 0)
  assert.equal((await decode(gzipSync(''))).length, 0)
})

test('several gzip files in one are all read', async () => {
  const two = Buffer.concat([gzipSync('one\n'), gzipSync('two\n')])
  for (const cuts of [[], [gzipSync('one\n').length], [...two.keys()]]) assert.equal((await decode(two, cuts)).toString(), 'one\ntwo\n')
})

test('what is cut off, damaged or followed by something else is refused, never read as less', async () => {
  const whole = gzipSync('a line of text\n'.repeat(100))
  for (let length = 3; length < whole.length; length += 7) await assert.rejects(decode(whole.subarray(0, length)), refused(/damaged or truncated/))
  const damaged = Buffer.from(whole)
  damaged[whole.length - 6]! ^= 1
  await assert.rejects(decode(damaged), refused(/damaged or truncated/))
  for (const more of [Buffer.from('more text'), Buffer.concat([Buffer.alloc(10), whole])]) {
    await assert.rejects(decode(Buffer.concat([whole, more])), refused(/gzip file/))
  }
  await assert.rejects(decode(Uint8Array.of(0xff, 0xfe, 0x41)), refused(/UTF-16/))
  await assert.rejects(decode(Uint8Array.of(0xff, 0xfe, 0x00, 0xd8)), refused(/UTF-16/))
  await assert.rejects(decode(Uint8Array.of(0xff, 0xfe, 0x00, 0xdc, 0x41, 0x00)), refused(/UTF-16/))
})

test('files of other kinds are refused by their names', async () => {
  for (const [first, name] of [
    [[0xff, 0xfe, 0, 0, 0x41, 0, 0, 0], 'UTF-32'], [[0, 0, 0xfe, 0xff, 0, 0, 0, 0x41], 'UTF-32'], [Buffer.from('\xfd7zXZ\0', 'latin1'), 'an xz file'],
    [Buffer.from('PK\x03\x04'), 'a zip archive'], [Buffer.from('BZh91AY&SY'), 'a bzip2 file'], [[4, 0x22, 0x4d, 0x18], 'an lz4 file'], [[0x1f, 0x9d, 0x90], 'a compress file'],
  ] as const) {
    await assert.rejects(decode(Buffer.concat([Uint8Array.from(first), Buffer.from('and more')])), refused(new RegExp(`this is ${name}, which is not supported`)))
  }
  // Packed twice is packed still.
  await assert.rejects(decode(gzipSync(gzipSync('text'))), refused(/this is a gzip file/))
  assert.equal((await decode(Buffer.from('BZhang\nPKW\n7z\n'))).toString(), 'BZhang\nPKW\n7z\n')
})

test('zstd is read where Node.js can, and else refused', async () => {
  const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: string) => Buffer }
  if (zstdCompressSync === undefined) {
    await assert.rejects(decode(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0)), refused(/zstd -dc/))
    return
  }
  const whole = zstdCompressSync('a line of text\n'.repeat(100))
  assert.equal((await decode(whole, [2, 9])).toString(), 'a line of text\n'.repeat(100))
  await assert.rejects(decode(whole.subarray(0, whole.length - 3)), refused(/zstd file/))
  const two = Buffer.concat([whole, whole])
  for (const cuts of [[], [whole.length]]) {
    const read = await decode(two, cuts).catch(refused(/zstd file/))
    assert.ok(read === true || read.toString() === 'a line of text\n'.repeat(200))
  }
})

test('once the signal is aborted it ends without an error', async () => {
  const stop = new AbortController()
  const whole = gzipSync('a line of text\n'.repeat(100))
  const chunks = async function *(): AsyncGenerator<Uint8Array> {
    yield whole.subarray(0, 20)
    stop.abort()
  }
  for await (const chunk of decoded(chunks(), 'the file', stop.signal)) assert.ok(chunk)
})

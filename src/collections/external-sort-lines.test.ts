import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { SpillwayError } from '../base/errors.ts'
import { Budget } from '../memory/budget.ts'
import type { Lease } from '../memory/budget.ts'
import { sortLines } from './external-sort-lines.ts'
import type { SortLinesOptions } from './external-sort-lines.ts'
import type { SortMonitorReport } from './external-sort-space.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-lines-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const MIB = 1024 * 1024

async function sorted(chunks: Iterable<Uint8Array>, options: SortLinesOptions = {}): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of sortLines(chunks, options)) parts.push(part)
  return Buffer.concat(parts)
}

function expected(text: Buffer, reverse = false, delimiter = 10): Buffer {
  const lines: Buffer[] = []
  for (let at = 0; at < text.length;) {
    const end = text.indexOf(delimiter, at)
    lines.push(text.subarray(at, end < 0 ? text.length : end))
    if (end < 0) break
    at = end + 1
  }
  lines.sort((a, b) => Buffer.compare(a, b) * (reverse ? -1 : 1))
  return Buffer.concat(lines.flatMap(line => [line, Buffer.from([delimiter])]))
}

function* cut(text: Buffer, bytes: number): Generator<Buffer> {
  for (let at = 0; at < text.length; at += bytes) yield text.subarray(at, at + bytes)
}

function randomLines(count: number, shape: (random: number, i: number) => string): Buffer {
  let state = 99
  let text = ''
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    text += `${shape(state, i)}\n`
  }
  return Buffer.from(text)
}

test('lines are sorted by bytes, wherever the chunks are cut', async () => {
  const byte = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(10, 97, 98, 0, 255) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) })
  await fc.assert(fc.asyncProperty(fc.array(byte, { maxLength: 300 }), fc.integer({ min: 1, max: 60 }), fc.boolean(), async (bytes, size, reverse) => {
    const text = Buffer.from(bytes)
    assert.deepEqual(await sorted(cut(text, size), { reverse }), expected(text, reverse))
  }), { seed: 51, numRuns: 200 })
})

const shapes: Record<string, (random: number, i: number) => string> = {
  'random text': random => `${random.toString(36)} some text that makes the line longer ${random}`,
  'a long beginning that all share': random => `https://example.com/a/long/path/that/all/lines/share/${random % 5000}`,
  'few different lines': random => `line number ${random % 7}`,
  'numbers in order': (_, i) => String(i).padStart(12, '0'),
  'numbers in reverse': (_, i) => String(1e9 - i),
  'lengths from 0 to 192': random => 'ab'.repeat(random % 97),
}

for (const [name, shape] of Object.entries(shapes)) {
  test(`lines far beyond the budget: ${name}`, async () => {
    const text = randomLines(120_000, shape)
    let report: SortMonitorReport | undefined
    const result = await sorted(cut(text, 50_000), { budget: 2 * MIB, directory, monitor: given => report = given })
    assert.ok(result.equals(expected(text)))
    assert.ok(report!.runs > 1)
    assert.ok(report!.highWaterBytes <= 2 * MIB)
    assert.equal(report!.entries, 120_000)
    assert.deepEqual(readdirSync(directory), [])
  })
}

test('a last line without delimiter gets one, empty lines count, and empty input gives no chunk', async () => {
  assert.equal((await sorted([Buffer.from('b\n\na')])).toString(), '\na\nb\n')
  assert.equal((await sorted([])).length, 0)
  assert.equal((await sorted([Buffer.alloc(0)])).length, 0)
})

test('records with line feeds can have another delimiter', async () => {
  const text = Buffer.from('b\n1\0a\n2\0')
  assert.deepEqual(await sorted([text], { delimiter: 0 }), expected(text, false, 0))
  await assert.rejects(sorted([text], { delimiter: 256 }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('lines of several hundred KiB are sorted, one above an eighth of the budget is refused', async () => {
  const lines = [300_000, 3, 200_000, 10].map((length, i) => String.fromCharCode(104 - i).repeat(length))
  const text = Buffer.from(lines.join('\n'))
  assert.ok((await sorted(cut(text, 10_000), { budget: 4 * MIB, directory })).equals(expected(text)))
  await assert.rejects(sorted(cut(Buffer.alloc(MIB, 'x'), 10_000), { budget: 4 * MIB, directory }),
    { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /Raise the budget/ })
})

test('a partial line is leased while it grows, and released once added', async () => {
  const budget = new Budget(4 * MIB)
  const held = (): number => budget.report().accounts['sort output']!.bytes
  let idle = 0
  const grown: number[] = []
  function* chunks(): Generator<Buffer> {
    yield Buffer.from('short\n')
    idle = held()
    for (let bytes = 0; bytes < 200_000; bytes += 1000) {
      yield Buffer.alloc(1000, 'x')
      grown.push(held() - idle - bytes - 1000)
    }
    yield Buffer.from('\nshort\n')
    assert.ok(held() - idle <= 16 * 1024, `${held() - idle} bytes kept`)
  }
  const parts: Buffer[] = []
  for await (const part of sortLines(chunks(), { budget, directory })) parts.push(part)
  assert.equal(Buffer.concat(parts).toString(), `short\nshort\n${'x'.repeat(200_000)}\n`)
  assert.ok(grown.every(spare => spare >= 0), 'at least the bytes received')
  assert.equal(budget.usedBytes, 0)
})

test('a line without memory in a shared budget is refused with numbers, and everything is released', async () => {
  const budget = new Budget(8 * MIB)
  let others: Lease | undefined
  function* chunks(): Generator<Buffer> {
    yield Buffer.alloc(1000, 'x')
    others = budget.account('others', 'test').lease(budget.freeBytes - 20_000)
    for (;;) yield Buffer.alloc(1000, 'x')
  }
  await assert.rejects(sorted(chunks(), { budget, directory }), error => {
    const { code, message, details } = error as SpillwayError
    const { lineBytes, largestBytes, budgetBytes } = details as Record<string, number>
    assert.equal(code, 'SPILLWAY_BUDGET_TOO_SMALL')
    assert.match(message, /Raise the budget to at least/)
    assert.ok(lineBytes! > largestBytes! && largestBytes! >= 20_000 && largestBytes! < 30_000, JSON.stringify(details))
    assert.ok(budgetBytes! <= 4 * MIB)
    return true
  })
  others!.release()
  assert.equal(budget.usedBytes, 0)
})

/** Letters that do not compress. */
function noise(seed: number): string {
  const bytes = Buffer.alloc(36)
  let state = seed | 1
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 9
  }
  return bytes.toString('base64')
}

test('incompressible pages are stored uncompressed, others compressed', async () => {
  const written = async (shape: (random: number, i: number) => string): Promise<[number, number]> => {
    let report: SortMonitorReport | undefined
    const text = randomLines(150_000, shape)
    await sorted(cut(text, 50_000), { budget: 2 * MIB, directory, monitor: given => report = given })
    return [report!.pages!.extentBytesWritten, text.length]
  }
  const [plain, plainText] = await written(random => noise(random))
  const [repeated, repeatedText] = await written(random => `${'the same again and again '.repeat(3)}${random}`)
  assert.ok(plain > plainText * 0.9, `${plain} of ${plainText}`)
  assert.ok(repeated < repeatedText * 0.6, `${repeated} of ${repeatedText}`)
})

test('reused chunks give the same output', async () => {
  const text = randomLines(50_000, random => String(random))
  const parts: Buffer[] = []
  const memories = new Set<ArrayBufferLike>()
  for await (const part of sortLines([text], { reuseChunks: true })) {
    parts.push(Buffer.from(part))
    memories.add(part.buffer)
  }
  assert.equal(memories.size, 1)
  assert.ok(parts.length > 1)
  assert.ok(Buffer.concat(parts).equals(expected(text)))
})

test('text instead of bytes is refused', async () => {
  await assert.rejects(sorted(['a\n'] as never), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /Encode text first/ })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatSize, parseSize } from './sizes.ts'

const SEED = 20250626

test('sizes are numbers, or texts with binary and decimal units', () => {
  const sizes: [number | string, number][] = [
    [0, 0], [1, 1], [2 ** 53 - 1, 2 ** 53 - 1], ['0', 0], ['512', 512], ['512 B', 512], ['512b', 512],
    ['1K', 1024], ['64 KiB', 65536], ['64MiB', 67108864], [' 1.5 GiB ', 1610612736], ['2 tib', 2 * 1024 ** 4], ['0.5 m', 524288],
    ['500 kB', 500_000], ['1 MB', 1e6], ['2GB', 2e9], ['1 TB', 1e12], ['0.3 B', 0], ['0.7', 1],
  ]
  for (const [size, bytes] of sizes) assert.equal(parseSize(size, 'budget'), bytes, String(size))
})

test('what is no size is refused, and the message says what was given', () => {
  const bad: unknown[] = [
    -1, 1.5, NaN, Infinity, 2 ** 53, '', ' ', 'MiB', '1 XiB', '1e3', '-1', '+1', '1 2', '1.', '.5', '1,5 MiB', '9999999 TiB', '5 constructor',
    '0x10', undefined, null, true, {}, [], 10n,
  ]
  for (const size of bad) {
    const refusal = { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^budget must be a size such as "64 MiB"/ }
    assert.throws(() => parseSize(size as number, 'budget'), refusal, String(size))
  }
  assert.throws(() => parseSize(NaN, 'budget'), /not NaN$/)
  assert.throws(() => parseSize('10 XiB', 'cache'), /^.*cache must be .* not "10 XiB"$/)
})

test('sizes for people have one decimal below a hundred, and units up to TiB', () => {
  const texts: [number, string][] = [
    [0, '0 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [102_400, '100 KiB'], [1_048_575, '1.0 MiB'], [1_048_576, '1.0 MiB'],
    [3_565_158, '3.4 MiB'], [1024 ** 3, '1.0 GiB'], [1024 ** 4, '1.0 TiB'], [5000 * 1024 ** 4, '5000 TiB'], [-2048, '-2.0 KiB'],
  ]
  for (const [bytes, text] of texts) assert.equal(formatSize(bytes), text)
})

test(`what is shown can be read again, to within half of its last digit (seed ${SEED})`, () => {
  fc.assert(fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 12), (low, factor) => {
    const bytes = low * factor
    const text = formatSize(bytes)
    assert.match(text, /^(\d{1,2}\.\d|\d{1,4}) (B|KiB|MiB|GiB|TiB)$|^100\.0 /)
    assert.ok(Math.abs(parseSize(text, 'size') - bytes) <= bytes * 0.051, text)
  }), { seed: SEED, numRuns: 1000 })
})

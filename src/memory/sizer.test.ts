import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MemtableSizer, pressureFactor } from './sizer.ts'
import type { SizerOptions } from './sizer.ts'

const SEED = 20250615
const MIB = 1024 * 1024

class World {
  ms = 5_000
  value: number | undefined
  asked = 0
  nowMs(): number { return this.ms }
  pressure(): number | undefined {
    this.asked++
    return this.value
  }
}

function make(options: SizerOptions = {}): { world: World; sizer: MemtableSizer } {
  const world = new World()
  return { world, sizer: new MemtableSizer(world, options) }
}

function close(actual: number, expected: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${what} ${actual}, not ${expected}`)
}

const ONE_SECOND: [bytes: number, rate: number, size: number][] = [
  [10_000_000, 4_774_873.6, 4_774_873],
  [50_000_000, 8_774_873.6, 8_774_873],
  [200_000_000, 23_774_873.6, 16_777_216],
  [0, 3_774_873.6, 3_774_873],
]

for (const [bytes, rate, size] of ONE_SECOND) {
  test(`defaults, no pressure: ${bytes} bytes in the first second make a memtable of ${size}`, () => {
    const { world, sizer } = make({ pressureFeedback: false })
    sizer.recordWrite(bytes)
    world.ms += 1000
    sizer.update()
    close(sizer.rateBytesPerSecond, rate)
    assert.equal(sizer.sizeBytes, size)
    assert.equal(world.asked, 0)
  })
}

test('before anything is known the size is the base and the rate is base / target', () => {
  const { sizer } = make()
  assert.equal(sizer.sizeBytes, 4 * MIB)
  assert.equal(sizer.rateBytesPerSecond, 4 * MIB)
  assert.equal(sizer.pressure, undefined)
  assert.equal(make({ targetSeconds: 2 }).sizer.rateBytesPerSecond, 2 * MIB)
  assert.equal(make({ targetSeconds: 2 }).sizer.sizeBytes, 4 * MIB)
})

test('a memtable is sealed from its size on', () => {
  const { sizer } = make({ baseBytes: 1000 })
  assert.deepEqual([0, 999, 1000, 1001].map(bytes => sizer.shouldSeal(bytes)), [false, false, true, true])
})

const FACTORS: [pressure: number, threshold: number, factor: number][] = [
  [0, 0.7, 1], [0.5, 0.7, 1], [0.7, 0.7, 1], [0.85, 0.7, 0.75], [0.9, 0.7, 0.5556], [1, 0.7, 0],
  [0.5, 0, 0.75], [0, 0, 1], [1, 1, 1], [0.99, 0.98, 0.75],
]

for (const [pressure, threshold, factor] of FACTORS) {
  test(`pressure ${pressure} at threshold ${threshold} leaves ${factor} of the size`, () => {
    assert.ok(Math.abs(pressureFactor(pressure, threshold) - factor) < 5e-5, String(pressureFactor(pressure, threshold)))
  })
}

const UNDER_PRESSURE: [pressure: number, size: number][] = [
  // 50 000 000 bytes in the first second: 8 774 873.6 without pressure.
  [0.7, 8_774_873], [0.85, 6_581_155], [0.9, 4_874_929], [1, 1_048_576], [1.5, 1_048_576], [-1, 8_774_873],
]

for (const [pressure, size] of UNDER_PRESSURE) {
  test(`at pressure ${pressure} the memtable of a busy second is ${size} bytes`, () => {
    const { world, sizer } = make()
    world.value = pressure
    sizer.recordWrite(50_000_000)
    world.ms += 1000
    sizer.update()
    assert.equal(sizer.sizeBytes, size)
    assert.equal(world.asked, 1)
  })
}

test('pressure that cannot be read keeps the last value in force, and the stats say so', () => {
  const { world, sizer } = make()
  const step = (pressure: number | undefined): [number, number | undefined, boolean] => {
    world.value = pressure
    sizer.recordWrite(4 * MIB)
    world.ms += 1000
    sizer.update()
    const stats = sizer.stats()
    assert.equal(stats.pressure, sizer.pressure)
    return [sizer.sizeBytes, stats.pressure, stats.pressureKnown]
  }
  assert.deepEqual(step(undefined), [4 * MIB, undefined, false])
  assert.deepEqual(step(0.85), [3 * MIB, 0.85, true])
  assert.deepEqual(step(undefined), [3 * MIB, 0.85, false])
  assert.deepEqual(step(NaN), [3 * MIB, 0.85, false])
  assert.deepEqual(step(0), [4 * MIB, 0, true])
})

test('without feedback the pressure is neither asked for nor in force', () => {
  const { world, sizer } = make()
  world.value = 1
  world.ms += 1000
  sizer.recordWrite(4 * MIB)
  sizer.update()
  assert.equal(sizer.sizeBytes, MIB)
  sizer.configure({ pressureFeedback: false })
  assert.equal(sizer.sizeBytes, 4 * MIB)
  assert.equal(sizer.stats().pressureKnown, false)
  world.ms += 1000
  sizer.update()
  assert.equal(world.asked, 1)
})

test('an update at the same instant changes nothing and keeps what was recorded, as does a clock that steps back', () => {
  const { world, sizer } = make({ pressureFeedback: false })
  sizer.recordWrite(10_000_000)
  sizer.update()
  world.ms -= 100
  sizer.update()
  assert.deepEqual([sizer.stats().updates, sizer.stats().pendingBytes, sizer.sizeBytes], [0, 10_000_000, 4 * MIB])
  world.ms += 1100
  sizer.update()
  assert.equal(sizer.sizeBytes, 4_774_873)
  assert.equal(sizer.stats().pendingBytes, 0)
  sizer.update()
  assert.equal(sizer.sizeBytes, 4_774_873)
})

test('ten updates of a tenth of a second weigh as much as one of a second', () => {
  for (const alpha of [0.1, 0.5, 1]) {
    const one = make({ alpha, pressureFeedback: false })
    one.sizer.recordWrite(20_000_000)
    one.world.ms += 1000
    one.sizer.update()
    const ten = make({ alpha, pressureFeedback: false })
    for (let i = 0; i < 10; i++) {
      ten.sizer.recordWrite(2_000_000)
      ten.world.ms += 100
      ten.sizer.update()
    }
    close(ten.sizer.rateBytesPerSecond, one.sizer.rateBytesPerSecond)
  }
})

test('a clock that ticks in microseconds loses no precision', () => {
  const { world, sizer } = make({ pressureFeedback: false })
  for (let i = 0; i < 1_000_000; i++) {
    sizer.recordWrite(10)
    world.ms += 0.001
    sizer.update()
  }
  assert.ok(Math.abs(sizer.rateBytesPerSecond - 4_774_873.6) < 1, String(sizer.rateBytesPerSecond))
})

test('min and max follow a base of one\'s own, and absolute values may be given', () => {
  const bounds = (options: SizerOptions): number[] => {
    const { minBytes, baseBytes, maxBytes } = make(options).sizer.stats().config
    return [minBytes, baseBytes, maxBytes]
  }
  assert.deepEqual(bounds({}), [MIB, 4 * MIB, 16 * MIB])
  assert.deepEqual(bounds({ baseBytes: 64 * MIB }), [16 * MIB, 64 * MIB, 256 * MIB])
  assert.deepEqual(bounds({ baseBytes: 100, minBytes: 7 }), [7, 100, 400])
  assert.deepEqual(bounds({ maxBytes: 4 * MIB }), [MIB, 4 * MIB, 4 * MIB])
  assert.deepEqual(bounds({ baseBytes: 1 }), [1, 1, 4])
})

const INVALID: SizerOptions[] = [
  { minBytes: 5 * MIB }, { maxBytes: 4 * MIB - 1 }, { baseBytes: 0 }, { baseBytes: 1.5 }, { baseBytes: NaN }, { minBytes: -1 },
  { maxBytes: Infinity }, { targetSeconds: 0 }, { targetSeconds: Infinity }, { targetSeconds: NaN }, { alpha: 0 }, { alpha: 1.01 },
  { alpha: NaN }, { pressureThreshold: -0.1 }, { pressureThreshold: 1.1 }, { pressureThreshold: NaN },
]

for (const options of INVALID) {
  test(`the options ${Object.entries(options).map(pair => pair.join(' ')).join()} are refused, at the start and later`, () => {
    assert.throws(() => make(options), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    const { sizer } = make()
    const before = sizer.stats()
    assert.throws(() => sizer.configure(options), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    assert.deepEqual(sizer.stats(), before)
  })
}

test('new bounds hold at once, and what is not given keeps its value', () => {
  const { world, sizer } = make({ alpha: 0.5, pressureFeedback: false })
  sizer.recordWrite(100_000_000)
  world.ms += 1000
  sizer.update()
  assert.equal(sizer.sizeBytes, 16 * MIB)
  sizer.configure({ maxBytes: 6 * MIB, alpha: undefined } as unknown as SizerOptions)
  assert.equal(sizer.sizeBytes, 6 * MIB)
  assert.equal(sizer.stats().config.alpha, 0.5)
  sizer.configure({ baseBytes: 5 * MIB })
  assert.deepEqual([sizer.stats().config.minBytes, sizer.stats().config.maxBytes], [1.25 * MIB, 6 * MIB])
  sizer.configure({ maxBytes: 64 * MIB })
  assert.equal(sizer.sizeBytes, Math.floor(sizer.rateBytesPerSecond))
})

test('the size follows demand up, and idle time lets it go down no further than the smallest', () => {
  const { world, sizer } = make({ pressureFeedback: false })
  for (let second = 0; second < 60; second++) {
    sizer.recordWrite(12_000_000)
    world.ms += 1000
    sizer.update()
  }
  assert.ok(Math.abs(sizer.sizeBytes - 12_000_000) < 20_000, String(sizer.sizeBytes))
  world.ms += 3_600_000
  sizer.update()
  assert.equal(sizer.sizeBytes, MIB)
})

test('a write of NaN bytes is an error at the next update, not a memtable that is never sealed', () => {
  const { world, sizer } = make()
  sizer.recordWrite(NaN)
  world.ms += 1000
  assert.throws(() => sizer.update(), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /accounting error/ })
  sizer.recordWrite(4 * MIB)
  world.ms += 1000
  sizer.update()
  assert.equal(sizer.sizeBytes, 4 * MIB)
})

test(`whatever is written and whatever the pressure, the formulas hold and the size is within its bounds (seed ${SEED})`, () => {
  const step = fc.record({
    bytes: fc.integer({ min: 0, max: 2 ** 40 }),
    ms: fc.oneof(fc.constant(0), fc.constant(1000), fc.integer({ min: 1, max: 100_000 })),
    pressure: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  })
  const options = fc.record({
    baseBytes: fc.integer({ min: 1, max: 2 ** 32 }),
    targetSeconds: fc.double({ min: 0.01, max: 100, noNaN: true }),
    alpha: fc.double({ min: 0.001, max: 1, noNaN: true }),
    pressureThreshold: fc.double({ min: 0, max: 0.99, noNaN: true }),
  })
  fc.assert(fc.property(options, fc.array(step, { maxLength: 40 }), (config, steps) => {
    const { world, sizer } = make(config)
    const { baseBytes, targetSeconds, alpha, pressureThreshold: t } = config
    let rate = baseBytes / targetSeconds
    let pressure: number | undefined
    let pending = 0
    for (const now of steps) {
      sizer.recordWrite(now.bytes)
      pending += now.bytes
      world.ms += now.ms
      world.value = now.pressure
      sizer.update()
      if (now.ms > 0) {
        const dt = now.ms / 1000
        const a = 1 - (1 - alpha) ** dt
        rate = rate * (1 - a) + a * pending / dt
        pending = 0
        pressure = now.pressure ?? pressure
      }
      const factor = pressure === undefined || pressure <= t ? 1 : Math.max(0, 1 - ((pressure - t) / (1 - t)) ** 2)
      const least = Math.ceil(baseBytes / 4)
      const size = Math.min(baseBytes * 4, Math.max(least, rate * targetSeconds * factor))
      assert.ok(Math.abs(sizer.sizeBytes - size) <= 1 + 1e-6 * size, `${sizer.sizeBytes}, not ${size}`)
      assert.ok(sizer.sizeBytes >= least && sizer.sizeBytes <= baseBytes * 4)
      assert.equal(sizer.stats().pendingBytes, pending)
    }
  }), { seed: SEED, numRuns: 300 })
})

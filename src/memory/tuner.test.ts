import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MemoryTuner } from './tuner.ts'
import type { TunerSample } from './tuner-sample.ts'
import type { TunerDecision, TunerOptions } from './tuner.ts'

const SEED = 20250617
const MIB = 1024 * 1024
const BLOCK = 4096

/** Numbers from 0 to 1, always the same ones. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

interface Workload {
  /** Reads and bytes written of one interval. */
  reads: number
  writes: number
  /** Share of the reads that a cache of this many bytes answers. */
  hitShare: (cacheBytes: number) => number
  /** Share by which figures differ from their mean, at most. */
  noise?: number
  /** Merges come in bursts: this many intervals' worth at once. Default 1. */
  burst?: number
}

const TOTAL = 64 * MIB
const MIN_WRITE = 2 * MIB
const MAX_WRITE = 48 * MIB
const MIN_CACHE = 4 * MIB
const GHOSTS = 8 * MIB

/** A store as the tuner sees it: a hit curve, and merges that fall with the logarithm of data / memtable. */
class Store {
  writeBytes = TOTAL / 4
  cacheBytes = TOTAL - TOTAL / 4
  dataBytes = 1024 * MIB
  ms = 0
  moved: number[] = []
  readonly tuner: MemoryTuner
  readonly #random = randomOf(SEED)
  #unmerged = 0
  #interval = 0

  constructor(options: TunerOptions = {}) {
    this.tuner = new MemoryTuner(options)
  }

  /** I/O bytes of an interval, with so much write memory. */
  cost(load: Workload, writeBytes: number): number {
    return this.mergeBytes(load, writeBytes) + load.reads * BLOCK * (1 - load.hitShare(TOTAL - writeBytes))
  }

  mergeBytes(load: Workload, writeBytes: number): number {
    return 2 * load.writes * Math.max(1, Math.log(this.dataBytes * 2 / writeBytes)) / Math.log(4)
  }

  /** The cheapest split, by trying all. */
  best(load: Workload): number {
    let best = MIN_WRITE
    for (let writeBytes = MIN_WRITE; writeBytes <= MAX_WRITE; writeBytes += MIB / 8) {
      if (this.cost(load, writeBytes) < this.cost(load, best)) best = writeBytes
    }
    return best
  }

  run(load: Workload, intervals: number): TunerDecision[] {
    const made: TunerDecision[] = []
    for (let i = 0; i < intervals; i++) {
      const noisy = (value: number): number => value * (1 + (load.noise ?? 0) * (2 * this.#random() - 1))
      const { writeBytes, cacheBytes } = this
      const hitShare = load.hitShare(cacheBytes)
      const reads = Math.round(noisy(load.reads))
      const misses = Math.round(reads * (1 - hitShare))
      const ghostHits = Math.min(misses, Math.round(noisy(reads * (load.hitShare(cacheBytes + GHOSTS) - hitShare))))
      const writtenBytes = noisy(load.writes)
      this.#unmerged += noisy(this.mergeBytes(load, writeBytes))
      let mergeBytes = 0
      if (++this.#interval % (load.burst ?? 1) === 0) {
        mergeBytes = this.#unmerged
        this.#unmerged = 0
      }
      this.ms += 1000
      const decision = this.tuner.decide({
        nowMs: this.ms, writeBytes, cacheBytes, minWriteBytes: MIN_WRITE, maxWriteBytes: MAX_WRITE, minCacheBytes: MIN_CACHE,
        dataBytes: this.dataBytes, hits: reads - misses, misses, missBytes: misses * BLOCK,
        ghostHits, ghostHitBytes: ghostHits * BLOCK, ghostBytes: GHOSTS,
        demandBytes: writtenBytes, writtenBytes, flushedBytes: writtenBytes, mergeBytes,
      })
      if (decision === undefined) {
        this.moved.push(0)
        continue
      }
      made.push(decision)
      assert.deepEqual([decision.fromWriteBytes, decision.fromCacheBytes, decision.atMs], [writeBytes, cacheBytes, this.ms])
      assert.equal(decision.toWriteBytes + decision.toCacheBytes, TOTAL)
      const bytes = decision.toWriteBytes - writeBytes
      assert.equal(decision.to, bytes > 0 ? 'write' : 'cache')
      assert.ok(bytes !== 0 && Math.abs(bytes) <= TOTAL * 0.05, 'a few percent at a time')
      assert.ok(decision.toWriteBytes >= MIN_WRITE && decision.toWriteBytes <= MAX_WRITE && decision.toCacheBytes >= MIN_CACHE)
      this.moved.push(bytes)
      this.writeBytes = decision.toWriteBytes
      this.cacheBytes = decision.toCacheBytes
    }
    return made
  }
}

/** Ever less is gained by more cache. */
const smooth = (workingBytes: number) => (cacheBytes: number): number => 1 - Math.exp(-cacheBytes / workingBytes)
/** All or nothing beyond a point: a loop over this many bytes. */
const cliff = (workingBytes: number) => (cacheBytes: number): number => cacheBytes >= workingBytes ? 1 : 0.3 * cacheBytes / workingBytes

const READING: Workload = { reads: 20_000, writes: MIB / 2, hitShare: smooth(40 * MIB) }
const WRITING: Workload = { reads: 500, writes: 40 * MIB, hitShare: smooth(40 * MIB) }

function sampleOf(changes: Partial<TunerSample> = {}): TunerSample {
  return {
    nowMs: 1, writeBytes: 16 * MIB, cacheBytes: 48 * MIB, minWriteBytes: MIN_WRITE, maxWriteBytes: MAX_WRITE, minCacheBytes: MIN_CACHE,
    dataBytes: 1024 * MIB, hits: 0, misses: 0, missBytes: 0, ghostHits: 0, ghostHitBytes: 0, ghostBytes: 0,
    demandBytes: 0, writtenBytes: 0, flushedBytes: 0, mergeBytes: 0, ...changes,
  }
}

test('no reads and no writes, no move', () => {
  const tuner = new MemoryTuner()
  for (let i = 0; i < 100; i++) assert.equal(tuner.decide(sampleOf({ ghostBytes: 8 * MIB })), undefined)
  assert.deepEqual(tuner.decisions, [])
  assert.match(tuner.standing, /too few/)
})

test('a handful of reads and writes moves nothing, however long it lasts', () => {
  const tuner = new MemoryTuner()
  const few = sampleOf({
    hits: 2, misses: 8, missBytes: 8 * BLOCK, ghostHits: 8, ghostHitBytes: 8 * BLOCK, ghostBytes: 8 * MIB,
    writtenBytes: 1000, demandBytes: 1000, mergeBytes: 5000,
  })
  for (let i = 0; i < 200; i++) assert.equal(tuner.decide(few), undefined)
})

test('reads that a larger cache would not have answered move nothing', () => {
  const tuner = new MemoryTuner()
  for (let i = 0; i < 50; i++) {
    const sample = sampleOf({
      hits: 5000, misses: 20_000, missBytes: 20_000 * BLOCK, ghostHits: 1, ghostHitBytes: BLOCK, ghostBytes: 8 * MIB,
    })
    assert.equal(tuner.decide(sample), undefined)
  }
})

test('a few expensive misses are no evidence: the cache grows only after enough ghosts were found', () => {
  const tuner = new MemoryTuner()
  let samples = 0
  do {
    tuner.decide(sampleOf({ hits: 2000, misses: 2, missBytes: 2 * BLOCK, ghostHits: 2, ghostHitBytes: 2 * BLOCK, ghostBytes: 8 * MIB }))
    samples++
  } while (tuner.decisions.length === 0 && samples < 100)
  assert.equal(samples, 8)
})

test('after a move evidence is gathered again, and the first sample does not count', () => {
  const tuner = new MemoryTuner()
  const movedAt: number[] = []
  for (let nowMs = 1; nowMs <= 20; nowMs++) {
    const reading = { hits: 150, misses: 100, missBytes: 100 * BLOCK, ghostHits: 50, ghostHitBytes: 50 * BLOCK, ghostBytes: 8 * MIB }
    if (tuner.decide(sampleOf({ nowMs, ...reading })) !== undefined) movedAt.push(nowMs)
  }
  assert.deepEqual(movedAt, [5, 11, 17])
})

test('writes that are never merged move nothing', () => {
  const tuner = new MemoryTuner()
  for (let i = 0; i < 50; i++) {
    assert.equal(tuner.decide(sampleOf({ writtenBytes: 100 * MIB, demandBytes: 100 * MIB, flushedBytes: 100 * MIB })), undefined)
  }
})

test('reading moves memory to the cache, writing moves it back, and the decisions say why', () => {
  const store = new Store()
  const reading = store.run(READING, 150)
  assert.ok(reading.length >= 3 && reading.every(decision => decision.to === 'cache'), JSON.stringify(reading))
  assert.ok(store.writeBytes <= 6 * MIB, `${store.writeBytes / MIB}`)
  assert.match(reading[0]!.why, /more cache would have saved .* of reads \(\d+ misses found their ghost\) and cost/)

  const writing = store.run(WRITING, 150)
  assert.ok(writing.length >= 5 && writing.every(decision => decision.to === 'write'))
  assert.ok(store.writeBytes >= 40 * MIB, `${store.writeBytes / MIB}`)
  assert.match(writing[0]!.why, /more write memory would have saved .* of merges and cost at least/)

  const again = store.run(READING, 300)
  assert.ok(again.every(decision => decision.to === 'cache'))
  assert.ok(store.writeBytes <= 6 * MIB, `${store.writeBytes / MIB}`)
})

test('a change of phase is followed within a bounded number of intervals', () => {
  const store = new Store()
  store.run(READING, 300)
  let intervals = 0
  while (store.writeBytes < 32 * MIB && intervals < 1000) {
    store.run(WRITING, 1)
    intervals++
  }
  assert.ok(intervals <= 80, String(intervals))
})

const ONLY_READING: Workload = { reads: 20_000, writes: 0, hitShare: smooth(40 * MIB) }
const ONLY_WRITING: Workload = { reads: 0, writes: 10 * MIB, hitShare: smooth(40 * MIB) }

test('when only one side is in use, memory moves to it with every sample, up to the bound', () => {
  const store = new Store()
  for (let phase = 0; phase < 3; phase++) {
    const before = store.writeBytes
    const writing = store.run(ONLY_WRITING, 24)
    assert.equal(store.writeBytes, MAX_WRITE)
    assert.ok(writing.length >= Math.ceil((MAX_WRITE - before) / (0.05 * TOTAL)) && writing.every(decision => decision.to === 'write'))
    assert.equal(store.tuner.only, 'write')
    const reading = store.run(ONLY_READING, 24)
    assert.equal(store.writeBytes, MIN_WRITE)
    assert.ok(reading.every(decision => decision.to === 'cache'))
    assert.equal(store.tuner.only, 'cache')
  }
})

test('a trickle is idle, a side that pauses for one sample is not', () => {
  const trickle = new Store()
  trickle.run({ ...ONLY_WRITING, reads: 1 }, 18)
  assert.equal(trickle.writeBytes, MAX_WRITE)
  const paused = new Store()
  for (let i = 0; i < 20; i++) {
    paused.run(ONLY_WRITING, 1)
    assert.equal(paused.tuner.only, undefined)
    paused.run({ ...ONLY_READING, writes: 10 * MIB }, 1)
    assert.equal(paused.tuner.only, undefined)
  }
})

test('a phase is not begun twice: what was gathered before it does not count', () => {
  const tuner = new MemoryTuner()
  const mixed = {
    hits: 1000, misses: 1000, missBytes: 1000 * BLOCK, ghostHits: 900, ghostHitBytes: 900 * BLOCK, ghostBytes: 8 * MIB, writtenBytes: 100_000, demandBytes: 100_000,
  }
  for (let i = 0; i < 4; i++) tuner.decide(sampleOf(mixed))
  // Reads end; their ghosts are no reason to move memory to a cache that is not read.
  for (let i = 0; i < 40; i++) {
    const decision = tuner.decide(sampleOf({ writtenBytes: 10 * MIB, demandBytes: 10 * MIB, flushedBytes: 10 * MIB, mergeBytes: i === 0 ? 0 : 30 * MIB }))
    assert.notEqual(decision?.to, 'cache')
  }
  assert.ok(tuner.decisions.length > 5)
})

test('sides that take turns are not idle in between, so short turns do not swing the boundary', () => {
  for (const [reading, writing] of [[4, 4], [3, 1], [1, 3], [6, 2]] as const) {
    const store = new Store()
    const turns = (count: number): void => {
      for (let i = 0; i < count; i++) {
        store.run(ONLY_READING, reading)
        store.run(ONLY_WRITING, writing)
      }
    }
    turns(30)
    store.moved = []
    turns(100)
    const travel = store.moved.reduce((sum, bytes) => sum + Math.abs(bytes), 0)
    const what = `${reading} and ${writing} samples: ${travel / MIB} MiB moved, write memory ${store.writeBytes / MIB} MiB`
    assert.ok(travel / store.moved.length <= 0.003 * TOTAL, what)
    // Both are in use: neither loses all to the other.
    assert.ok(store.writeBytes > 2 * MIN_WRITE && store.writeBytes < MAX_WRITE, what)
  }
})

test('before merges are known they are taken for what a tree of that depth does', () => {
  const tuner = new MemoryTuner()
  for (let i = 0; i < 40; i++) {
    tuner.decide(sampleOf({
      hits: 10_000, misses: 10_000, missBytes: 10_000 * BLOCK, ghostHits: 150, ghostHitBytes: 150 * BLOCK, ghostBytes: 8 * MIB,
      writtenBytes: 2 * MIB, demandBytes: 2 * MIB, flushedBytes: 2 * MIB,
    }))
    assert.deepEqual(tuner.decisions, [])
  }
})

test('merges that cost more than reads by the byte weigh more', () => {
  const load: Workload = { reads: 20_000, writes: 8 * MIB, hitShare: smooth(20 * MIB) }
  const [cheap, dear] = [new Store(), new Store({ mergeCost: 4 })]
  cheap.run(load, 400)
  dear.run(load, 400)
  assert.ok(dear.writeBytes > 1.5 * cheap.writeBytes, `${dear.writeBytes / MIB} MiB, ${cheap.writeBytes / MIB}`)
})

test('what gets pay for the runs that smaller memtables leave counts against the cache', () => {
  const ends = [0, 4000].map(gets => {
    const tuner = new MemoryTuner({ mergeCost: 4, runCostBytes: 128 })
    let writeBytes = 16 * MIB
    for (let i = 0; i < 200; i++) {
      const decision = tuner.decide(sampleOf({
        nowMs: i, writeBytes, cacheBytes: 64 * MIB - writeBytes, hits: 16_000, misses: 2000, missBytes: 2000 * BLOCK, ghostHits: 60, ghostHitBytes: 60 * BLOCK,
        ghostBytes: 8 * MIB, writtenBytes: MIB / 64, demandBytes: MIB / 64, flushedBytes: MIB / 64, mergeBytes: MIB / 64, gets,
      }))
      if (decision !== undefined) writeBytes = decision.toWriteBytes
    }
    return writeBytes
  })
  assert.ok(ends[0]! < 4 * MIB, `without gets the cache takes what it may: ${ends[0]! / MIB} MiB are left`)
  assert.ok(ends[1]! >= 8 * MIB, `${ends[1]! / MIB} MiB`)
})

for (const noise of [0, 0.2]) {
  test(`a mixed load settles near the cheapest split and stays there, noise ${noise}`, () => {
    for (const [reads, writes] of [[20_000, 8 * MIB], [5_000, 8 * MIB], [40_000, 4 * MIB], [2_000, 16 * MIB]] as const) {
      const store = new Store()
      const load: Workload = { reads, writes, hitShare: smooth(20 * MIB), noise }
      store.run(load, 400)
      const best = store.cost(load, store.best(load))
      const reached = store.cost(load, store.writeBytes)
      const what = `${reads} reads, ${writes} written: `
      assert.ok(reached <= 1.05 * best, `${what}${store.writeBytes / MIB} MiB costs ${reached / best} of ${store.best(load) / MIB} MiB`)
      store.moved = []
      store.run(load, 400)
      const travel = store.moved.reduce((sum, bytes) => sum + Math.abs(bytes), 0)
      assert.ok(travel <= 0.1 * TOTAL, `${what}${travel / MIB} MiB moved in a steady state`)
    }
  })
}

test('bursts of merges do not swing the boundary', () => {
  const store = new Store()
  const load: Workload = { reads: 10_000, writes: 16 * MIB, hitShare: smooth(20 * MIB), noise: 0.1, burst: 7 }
  store.run(load, 600)
  const best = store.cost(load, store.best(load))
  assert.ok(store.cost(load, store.writeBytes) <= 1.08 * best, `${store.writeBytes / MIB} MiB, best ${store.best(load) / MIB}`)
  store.moved = []
  store.run(load, 600)
  const travel = store.moved.reduce((sum, bytes) => sum + Math.abs(bytes), 0)
  assert.ok(travel <= 0.3 * TOTAL, `${travel / MIB} MiB moved`)
})

test('a cache that just holds its working set is tried less and less, in smaller steps, and the boundary settles', () => {
  const store = new Store()
  const load: Workload = { reads: 20_000, writes: 20 * MIB, hitShare: cliff(44 * MIB) }
  store.run(load, 300)
  const early = store.moved.slice(0, 60).reduce((sum, bytes) => sum + Math.abs(bytes), 0)
  const late = store.moved.slice(-150)
  assert.ok(early > 0.05 * TOTAL)
  assert.ok(late.every(bytes => Math.abs(bytes) <= 0.01 * TOTAL), String(late.filter(bytes => bytes !== 0)))
  assert.ok(late.filter(bytes => bytes !== 0).length <= 6, String(late.filter(bytes => bytes !== 0)))
  // Most of the time the working set is in the cache.
  store.run(load, 400)
  let inCache = 0
  for (let i = 0; i < 200; i++) {
    store.run(load, 1)
    if (store.cacheBytes >= 44 * MIB) inCache++
  }
  assert.ok(inCache >= 170, `${inCache} of 200`)
})

test('regrets are of one workload: when it changes, memory moves at once and in full steps', () => {
  const store = new Store()
  store.run({ reads: 20_000, writes: 20 * MIB, hitShare: cliff(44 * MIB) }, 700)
  const before = store.writeBytes
  const made = store.run(WRITING, 60)
  assert.ok(made.length >= 4 && made.every(decision => decision.to === 'write'))
  assert.ok(store.writeBytes >= before + 0.15 * TOTAL, `${before / MIB} to ${store.writeBytes / MIB}`)
})

test('bounds hold, and at a bound nothing moves', () => {
  const reading = {
    hits: 10_000, misses: 10_000, missBytes: 10_000 * BLOCK, ghostHits: 5000, ghostHitBytes: 5000 * BLOCK, ghostBytes: 8 * MIB,
  }
  const writing = { writtenBytes: 200 * MIB, demandBytes: 200 * MIB, flushedBytes: 200 * MIB, mergeBytes: 1000 * MIB }
  const first = (changes: Partial<TunerSample>): TunerDecision | undefined => {
    const tuner = new MemoryTuner()
    for (let i = 0; i < 20; i++) {
      const decision = tuner.decide(sampleOf(changes))
      if (decision !== undefined) return decision
    }
    assert.match(tuner.standing, /at the bounds/)
    return undefined
  }
  assert.equal(first({ ...reading })!.toWriteBytes, 16 * MIB - 3.1875 * MIB)
  assert.equal(first({ ...reading, minWriteBytes: 15 * MIB })!.toWriteBytes, 15 * MIB)
  assert.equal(first({ ...reading, minWriteBytes: 16 * MIB }), undefined)
  assert.equal(first({ ...reading, minWriteBytes: 17 * MIB }), undefined)
  assert.equal(first({ ...writing })!.toWriteBytes, 16 * MIB + 3.1875 * MIB)
  assert.equal(first({ ...writing, maxWriteBytes: 16 * MIB + 100_000 })!.toWriteBytes, 16 * MIB + 65536)
  assert.equal(first({ ...writing, maxWriteBytes: 16 * MIB }), undefined)
  assert.equal(first({ ...writing, minCacheBytes: 48 * MIB }), undefined)
})

test('held back demand makes merges weigh more', () => {
  const mixed = {
    hits: 10_000, misses: 10_000, missBytes: 10_000 * BLOCK, ghostHits: 3000, ghostHitBytes: 3000 * BLOCK, ghostBytes: 8 * MIB,
    writtenBytes: 80 * MIB, demandBytes: 80 * MIB, flushedBytes: 80 * MIB, mergeBytes: 100 * MIB,
  }
  const tuner = new MemoryTuner()
  for (let i = 0; i < 10; i++) assert.equal(tuner.decide(sampleOf(mixed)), undefined, tuner.standing)
  assert.match(tuner.standing, /^balanced/)
  const held = new MemoryTuner()
  for (let i = 0; i < 10 && held.decisions.length === 0; i++) held.decide(sampleOf({ ...mixed, demandBytes: 240 * MIB }))
  assert.equal(held.decisions[0]?.to, 'write')
})

test('the list of decisions is bounded, the latest last', () => {
  const store = new Store({ maxDecisions: 3 })
  const made = [...store.run(READING, 150), ...store.run(WRITING, 150)]
  assert.ok(made.length > 6)
  assert.deepEqual(store.tuner.decisions, made.slice(-3))
})

test('options and samples that are no sensible numbers are refused', () => {
  const wrong: TunerOptions[] = [
    { stepShare: 0 }, { stepShare: 0.6 }, { smallestStepShare: 0.1 }, { hysteresis: -1 }, { minReads: NaN }, { memtables: 0 }, { grainBytes: 0 }, { mergeCost: 0 },
  ]
  for (const options of wrong) {
    assert.throws(() => new MemoryTuner(options), { code: 'SPILLWAY_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
  const tuner = new MemoryTuner()
  for (const changes of [{ hits: NaN }, { mergeBytes: -1 }, { cacheBytes: Infinity }]) {
    assert.throws(() => tuner.decide(sampleOf(changes)), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
})

test(`whatever is sampled, bounds hold, the sum stays and every move has a reason (seed ${SEED})`, () => {
  const size = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 }))
  const count = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1_000_000 }))
  const sample = fc.record({
    dataBytes: size, hits: count, misses: count, missBytes: size, ghostHits: count, ghostHitBytes: size, ghostBytes: size,
    demandBytes: size, writtenBytes: size, flushedBytes: size, mergeBytes: size,
  })
  let moves = 0
  fc.assert(fc.property(
    fc.array(sample, { maxLength: 40 }),
    fc.nat(100 * MIB), fc.nat(100 * MIB), fc.nat(50 * MIB), fc.nat(100 * MIB), fc.nat(50 * MIB),
    (samples, firstWrite, firstCache, minWriteBytes, maxWriteBytes, minCacheBytes) => {
      const tuner = new MemoryTuner()
      let writeBytes = firstWrite
      let cacheBytes = firstCache
      samples.forEach((changes, nowMs) => {
        const decision = tuner.decide(sampleOf({ ...changes, nowMs, writeBytes, cacheBytes, minWriteBytes, maxWriteBytes, minCacheBytes }))
        assert.ok(tuner.standing.length > 0 && !/NaN|undefined|Infinity/.test(tuner.standing), tuner.standing)
        if (decision === undefined) return
        moves++
        assert.equal(decision.toWriteBytes + decision.toCacheBytes, writeBytes + cacheBytes)
        if (decision.to === 'write') {
          assert.ok(decision.toWriteBytes <= maxWriteBytes && decision.toCacheBytes >= minCacheBytes)
        } else {
          assert.ok(decision.toWriteBytes >= minWriteBytes)
        }
        writeBytes = decision.toWriteBytes
        cacheBytes = decision.toCacheBytes
      })
    },
  ), { seed: SEED, numRuns: 300 })
  assert.ok(moves > 100, String(moves))
})

/**
 * Maps and sets on a simulated disk that fills up, fails and flips bytes, compared to a Map.
 *
 * `SPILLWAY_SEEDS=100` runs more seeds, `SPILLWAY_SEED=7` starts at that seed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpillwayError } from '../base/errors.ts'
import { Random } from '../host/sim/random.ts'
import { SimHost } from '../host/sim/sim-host.ts'
import { Budget, SpillMap, SpillSet } from './index.ts'

const MIB = 2 ** 20
const DIRECTORY = '/scratch'
const SEEDS = Number(process.env['SPILLWAY_SEEDS'] ?? 1)
const FIRST_SEED = Number(process.env['SPILLWAY_SEED'] ?? 1)
const KEYS = 1500

/** Text that does not compress, so that it fills the disk. */
const NOISE = noise(64 * 1024)

/** Common interface of both kinds. */
interface Subject extends Disposable {
  readonly size: number
  has(key: string): boolean
  get(key: string): string | undefined
  set(key: string, value: string): void
  delete(key: string): boolean
  clear(): void
  entries(): Iterator<[string, string]>
}

interface World {
  host: SimHost
  budget: Budget
  random: Random
}

type Make = (world: World) => Subject

const mapOf = (order: 'insertion' | 'key'): Make => ({ host, budget }) => {
  const map = new SpillMap<string, string>({ host, budget, directory: DIRECTORY, order })
  return map as Subject & SpillMap<string, string>
}

/** A set stores key and value as one member; setting a key again replaces the member. */
const setOf: Make = ({ host, budget }) => {
  const set = new SpillSet<string>({ host, budget, directory: DIRECTORY })
  return {
    get size() { return set.size },
    has: key => set.has(key),
    get: key => set.has(key) ? '' : undefined,
    set: key => { set.add(key) },
    delete: key => set.delete(key),
    clear: () => set.clear(),
    entries: () => set.entries(),
    [Symbol.dispose]: () => set.dispose(),
  }
}

const SUBJECTS: Record<string, { make: Make, order: 'insertion' | 'key', isSet: boolean }> = {
  'SpillMap': { make: mapOf('insertion'), order: 'insertion', isSet: false },
  'SpillMap in key order': { make: mapOf('key'), order: 'key', isSet: false },
  'SpillSet': { make: setOf, order: 'insertion', isSet: true },
}

function newWorld(seed: number): World {
  const host = new SimHost({ seed })
  host.disk.isLogging = false
  return { host, budget: new Budget(8 * MIB), random: new Random(seed) }
}

function noise(length: number): string {
  const random = new Random(77)
  let text = ''
  while (text.length < length) text += String.fromCharCode(32 + random.below(95))
  return text
}

/** The result of a call, or its typed error; other errors fail the test. */
function attempt<T>(codes: readonly string[], act: () => T): { value: T } | { code: string } {
  try {
    return { value: act() }
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw error
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    assert.ok(error.message.length > 20, error.message)
    return { code: error.code }
  }
}

class Play {
  readonly world: World
  readonly subject: Subject
  readonly model = new Map<string, string>()
  readonly isSet: boolean
  readonly order: 'insertion' | 'key'
  refused = 0
  #value = 0

  constructor(world: World, { make, order, isSet }: typeof SUBJECTS[string]) {
    this.world = world
    this.isSet = isSet
    this.order = order
    this.subject = make(world)
  }

  /** One call to both. A call that fails with one of these codes has changed nothing. */
  step(codes: readonly string[]): void {
    const { subject, model, world: { random } } = this
    const key = this.#key()
    const kind = random.below(100)
    // Adding an existing member writes nothing, so sets need more deletions.
    const [sets, changes, gets] = this.isSet ? [45, 80, 90] : [60, 72, 86]
    if (kind < sets) {
      const value = this.#newValue()
      this.#change(codes, () => { subject.set(key, value) }, () => { model.set(key, value) })
    } else if (kind < changes) {
      this.#change(codes, () => subject.delete(key), () => model.delete(key))
    } else if (kind < gets) {
      const result = attempt(codes, () => subject.get(key))
      if ('value' in result) assert.equal(result.value, this.isSet ? (model.has(key) ? '' : undefined) : model.get(key), key)
      else this.refused++
    } else if (kind < 99) {
      const result = attempt(codes, () => subject.has(key))
      if ('value' in result) assert.equal(result.value, model.has(key), key)
      else this.refused++
    } else {
      this.walk(codes, random.below(50))
    }
    if (random.below(20) === 0) letTimePass(this.world)
  }

  /** Compare the first entries, as far as they can be read. */
  walk(codes: readonly string[], most = Infinity): void {
    const expected = this.#expected()
    let at = 0
    const result = attempt(codes, () => {
      const iterator = this.subject.entries()
      for (; at < most; at++) {
        const { done, value } = iterator.next()
        const entry = expected[at]
        if (done === true) {
          assert.equal(entry, undefined, `the end came after ${at} of ${expected.length} entries`)
          return
        }
        assert.equal(value[0], entry?.[0], `key ${at}`)
        assert.equal(value[1], this.isSet ? entry![0] : entry![1], `value ${at}`)
      }
    })
    if ('code' in result) this.refused++
  }

  /** On a healthy disk: everything equals the model. */
  check(): void {
    const { subject, model, world: { budget } } = this
    assert.equal(subject.size, model.size)
    this.walk([])
    for (let i = 0; i < KEYS; i += 7) {
      const key = this.#keyOf(i)
      assert.equal(subject.has(key), model.has(key))
      if (!this.isSet) assert.equal(subject.get(key), model.get(key))
    }
    const { usedBytes, highWaterBytes, accounts } = budget.report()
    assert.equal(Object.values(accounts).reduce((sum, { bytes }) => sum + bytes, 0), usedBytes)
    assert.ok(highWaterBytes <= 8 * MIB)
  }

  end(): void {
    const { subject, world: { host, budget } } = this
    subject[Symbol.dispose]()
    assert.equal(budget.usedBytes, 0)
    assert.deepEqual(host.files.exists(DIRECTORY) ? host.files.list(DIRECTORY) : [], [])
    assert.equal(host.disk.usedBytes, 0)
  }

  #change(codes: readonly string[], act: () => unknown, mirror: () => unknown): void {
    const { subject, model } = this
    const sizeBefore = model.size
    const result = attempt(codes, act)
    if ('value' in result) {
      const expected = mirror()
      if (typeof expected === 'boolean') assert.equal(result.value, expected)
    } else {
      this.refused++
    }
    assert.equal(subject.size, 'value' in result ? model.size : sizeBefore)
  }

  #expected(): [string, string][] {
    const entries = [...this.model]
    return this.order === 'key' ? entries.sort((a, b) => a[0] < b[0] ? -1 : 1) : entries
  }

  #key(): string { return this.#keyOf(this.world.random.below(KEYS)) }
  /** A set's member is its whole entry, so it is long. */
  #keyOf(i: number): string { return this.isSet ? `member ${i} ${NOISE.slice(i, i + 2000 + i % 4000)}` : `key ${i}` }

  #newValue(): string {
    const { random } = this.world
    const length = random.below(40) === 0 ? 20_000 + random.below(20_000) : random.below(6000)
    const from = random.below(NOISE.length - length)
    return `${this.#value++} ${NOISE.slice(from, from + length)}`
  }
}

/** Let retry timers fire. */
function letTimePass({ host }: World): void {
  host.advance(100)
}

function eachSeed(body: (seed: number) => void): void {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      body(seed)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause })
    }
  }
}

for (const [name, kind] of Object.entries(SUBJECTS)) {
  test(`${name}: on a healthy disk it matches the model, and a seed is deterministic`, () => {
    const operations = [0, 0].map(() => {
      const play = new Play(newWorld(FIRST_SEED), kind)
      for (let i = 0; i < 3000; i++) play.step([])
      const { host } = play.world
      assert.ok(host.disk.usedBytes > 0, 'some entries are on disk')
      play.check()
      const count = host.disk.faults.operations
      play.end()
      return count
    })
    assert.equal(operations[0], operations[1])
  })

  test(`${name}: a full disk refuses writes with NO_SPACE, changes nothing, and writes succeed when there is space`, () => {
    eachSeed(seed => {
      const play = new Play(newWorld(seed), kind)
      const { host, random } = play.world
      for (let i = 0; i < 2000; i++) play.step([])
      for (let round = 0; round < 3; round++) {
        host.disk.faults.capacityBytes = host.disk.usedBytes + random.below(256 * 1024)
        const before = play.refused
        for (let i = 0; i < 600 || (i < 6000 && play.refused === before); i++) play.step(['SPILLWAY_NO_SPACE'])
        assert.ok(play.refused > before, 'the disk was never full')
        play.walk(['SPILLWAY_NO_SPACE'])
        host.disk.faults.capacityBytes = Infinity
        host.advance(20_000)
        for (let i = 0; i < 200; i++) play.step([])
        play.check()
      }
      play.end()
    })
  })

  test(`${name}: with EIO calls return the right result or UNAVAILABLE, and nothing is lost`, () => {
    eachSeed(seed => {
      const play = new Play(newWorld(seed), kind)
      const { host, random } = play.world
      for (let i = 0; i < 1500; i++) play.step([])
      for (let round = 0; round < 40; round++) {
        host.disk.faults.failAt(host.disk.faults.operations + 1 + random.below(60))
        for (let i = 0; i < 60; i++) play.step(['SPILLWAY_UNAVAILABLE'])
        host.disk.faults.clear()
        host.advance(20_000)
      }
      play.check()
      play.end()
    })
  })

  test(`${name}: with flipped bytes calls return the right result or CORRUPTION, and clear repairs it`, () => {
    let refused = 0
    eachSeed(seed => {
      const play = new Play(newWorld(seed), kind)
      const { host, random } = play.world
      for (let i = 0; i < 2500; i++) play.step([])
      for (const path of filesOf(host)) {
        const bytes = host.files.readAll(path).length
        // A file just created by a job may be empty.
        for (let i = 0; i < 4 && bytes > 0; i++) host.disk.corrupt(path, random.below(bytes), 1 << random.below(8))
      }
      for (let i = 0; i < KEYS; i++) {
        play.step(['SPILLWAY_CORRUPTION', 'SPILLWAY_READ_ONLY'])
      }
      refused += play.refused
      play.subject.clear()
      play.model.clear()
      for (let i = 0; i < 1000; i++) play.step([])
      play.check()
      play.end()
    })
    assert.ok(refused > 0, 'no flipped byte was read')
  })
}

function filesOf(host: SimHost): string[] {
  return host.files.list(DIRECTORY).flatMap(directory => host.files.list(`${DIRECTORY}/${directory}`).map(name => `${DIRECTORY}/${directory}/${name}`))
}

test('a map disposed of on a failing disk releases its memory, and the next one removes its files', () => {
  const { host, budget } = newWorld(5)
  const map = new SpillMap<number, string>({ host, budget, directory: DIRECTORY })
  for (let i = 0; i < 3000; i++) map.set(i, 'x'.repeat(4000))
  assert.equal(filesOf(host).length > 0, true)
  host.disk.faults.failAt(host.disk.faults.operations + 1, 'EIO', true)
  assert.throws(() => map.dispose(), { code: 'SPILLWAY_UNAVAILABLE', message: /removing scratch files/ })
  assert.equal(budget.usedBytes, 0)
  assert.equal(map.isDisposed, true)
  host.disk.faults.clear()
  // The process ends without it, and another starts.
  host.exit()
  const later = new SimHost({ seed: 6, disk: host.disk })
  new SpillMap<number, string>({ host: later, budget: '8 MiB', directory: DIRECTORY }).dispose()
  assert.deepEqual(host.files.list(DIRECTORY), [])
})

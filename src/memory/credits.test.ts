import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Credits } from './credits.ts'

const SEED = 20250614

type State = 'waiting' | 'granted' | string

/** Follow a request; its state is current after `settled()`. */
function follow(promise: Promise<void>): { state: State } {
  const request: { state: State } = { state: 'waiting' }
  promise.then(() => { request.state = 'granted' }, (error: { code?: string }) => { request.state = error.code ?? String(error) })
  return request
}

async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await undefined
}

interface FitsRow { rule: string; budget: number; used: number; bytes: number; fits: boolean }

const FITS: FitsRow[] = [
  { rule: 'within the budget', budget: 100, used: 40, bytes: 60, fits: true },
  { rule: 'one byte over the budget', budget: 100, used: 40, bytes: 61, fits: false },
  { rule: 'the budget is full', budget: 100, used: 100, bytes: 1, fits: false },
  { rule: 'oversize, nothing held', budget: 100, used: 0, bytes: 1000, fits: true },
  { rule: 'oversize, one byte held', budget: 100, used: 1, bytes: 1000, fits: false },
  { rule: 'after an oversize request nothing fits', budget: 100, used: 1000, bytes: 1, fits: false },
  { rule: 'no bytes, though the budget is full', budget: 100, used: 100, bytes: 0, fits: true },
  { rule: 'disabled by 0', budget: 0, used: 10 ** 12, bytes: 10 ** 12, fits: true },
  { rule: 'disabled by a negative budget', budget: -1, used: 10 ** 12, bytes: 10 ** 12, fits: true },
  { rule: 'no limit but what can be counted', budget: Infinity, used: 1, bytes: Number.MAX_SAFE_INTEGER - 1, fits: true },
  { rule: 'beyond what can be counted', budget: 0, used: 2, bytes: Number.MAX_SAFE_INTEGER - 1, fits: false },
  { rule: 'the largest number, nothing held', budget: 1, used: 0, bytes: Number.MAX_SAFE_INTEGER, fits: true },
]

for (const { rule, budget, used, bytes, fits } of FITS) {
  test(`fits: ${rule}`, async () => {
    const credits = new Credits(budget)
    assert.equal(credits.tryAcquire(used), true)
    assert.equal(credits.tryAcquire(bytes), fits)
    assert.equal(credits.used, fits ? used + bytes : used)
    if (fits) return
    const request = follow(credits.acquire(bytes))
    await settled()
    assert.equal(request.state, 'waiting')
    credits.release(used)
    await settled()
    assert.equal(request.state, 'granted')
    assert.equal(credits.used, bytes)
  })
}

const INVALID: [string, unknown][] = [
  ['negative', -1], ['a fraction', 0.5], ['NaN', NaN], ['infinite', Infinity], ['beyond the safe integers', 2 ** 53],
  ['a text', '10'], ['undefined', undefined], ['a bigint', 10n],
]

for (const [name, value] of INVALID) {
  test(`a number of bytes that is ${name} is rejected and changes nothing`, async () => {
    const credits = new Credits(100)
    let told = 0
    credits.onStarved = () => { told++ }
    assert.ok(credits.tryAcquire(90))
    const waiter = follow(credits.acquire(20))
    const bytes = value as number
    const expected = { code: 'SPILLWAY_INVALID_ARGUMENT', message: /whole bytes/ }
    assert.throws(() => credits.tryAcquire(bytes), expected)
    await assert.rejects(credits.acquire(bytes), expected)
    await assert.rejects(credits.acquire(bytes, AbortSignal.abort()), expected)
    assert.throws(() => credits.release(bytes), expected)
    await settled()
    assert.deepEqual([credits.used, credits.waiting, waiter.state, told], [90, 1, 'waiting', 1])
  })
}

test('a budget that is not a number is refused, at once and later', () => {
  assert.throws(() => new Credits(NaN), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => new Credits('1' as unknown as number), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  const credits = new Credits(5)
  assert.throws(() => credits.setBudget(NaN), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.equal(credits.budgetBytes, 5)
})

test('no bytes are taken and given back at any time, also after close and behind waiters', async () => {
  const credits = new Credits(1)
  credits.tryAcquire(1)
  const waiter = follow(credits.acquire(1))
  assert.equal(credits.tryAcquire(0), true)
  await credits.acquire(0)
  await credits.acquire(0, AbortSignal.abort())
  credits.release(0)
  assert.equal(credits.used, 1)
  credits.close()
  assert.equal(credits.tryAcquire(0), true)
  await credits.acquire(0)
  credits.release(0)
  assert.equal(waiter.state, 'SPILLWAY_CLOSED')
})

test('first in, first out: no request passes a waiter, however small', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(60)
  const large = follow(credits.acquire(90))
  const small = follow(credits.acquire(1))
  assert.equal(credits.tryAcquire(1), false)
  await settled()
  assert.deepEqual([large.state, small.state, credits.waiting], ['waiting', 'waiting', 2])
  credits.release(50)
  await settled()
  assert.deepEqual([large.state, small.state, credits.used], ['granted', 'waiting', 100])
})

test('a release serves as many as fit, in order, and they hold their credits when it returns', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(100)
  const requests = [30, 30, 50, 10].map(bytes => follow(credits.acquire(bytes)))
  credits.release(100)
  assert.equal(credits.used, 60)
  assert.equal(credits.waiting, 2)
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['granted', 'granted', 'waiting', 'waiting'])
  credits.release(30)
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['granted', 'granted', 'granted', 'granted'])
  assert.equal(credits.used, 90)
})

test('an oversize request in line enters when the pool is empty, alone', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(10)
  const oversize = follow(credits.acquire(500))
  const next = follow(credits.acquire(1))
  credits.release(9)
  await settled()
  assert.equal(oversize.state, 'waiting')
  credits.release(1)
  await settled()
  assert.deepEqual([oversize.state, next.state, credits.used], ['granted', 'waiting', 500])
  credits.release(500)
  await settled()
  assert.deepEqual([next.state, credits.used], ['granted', 1])
})

test('releasing more than is held is reported, and used is 0, not less', async () => {
  const errors: Error[] = []
  const credits = new Credits(100, { onAccountingError: error => { errors.push(error) } })
  credits.tryAcquire(70)
  const waiter = follow(credits.acquire(50))
  credits.release(71)
  await settled()
  assert.equal(errors.length, 1)
  assert.match(errors[0]!.message, /71 bytes released, 70 held/)
  assert.deepEqual([waiter.state, credits.used], ['granted', 50])
  credits.release(50)
  credits.release(1)
  assert.equal(errors.length, 2)
  assert.equal(credits.used, 0)
})

test('without a reporter an accounting error is thrown, after the waiters were served', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(70)
  const waiter = follow(credits.acquire(50))
  assert.throws(() => credits.release(71), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /accounting error/ })
  await settled()
  assert.deepEqual([waiter.state, credits.used], ['granted', 50])
})

test('an overwrite that gives back the difference leaves one key and value accounted after 10 000', () => {
  const credits = new Credits(1000)
  const entry = 116
  let held = 0
  for (let i = 0; i < 10_000; i++) {
    assert.ok(credits.tryAcquire(entry))
    if (held > 0) credits.release(held)
    held = entry
  }
  assert.equal(credits.used, entry)
})

test('an abort in the middle of the line ends that wait only', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(100)
  const controllers = [0, 1, 2].map(() => new AbortController())
  const requests = controllers.map(controller => follow(credits.acquire(30, controller.signal)))
  controllers[1]!.abort(new Error('too slow'))
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['waiting', 'SPILLWAY_ABORTED', 'waiting'])
  assert.equal(credits.waiting, 2)
  credits.release(100)
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['granted', 'SPILLWAY_ABORTED', 'granted'])
  assert.equal(credits.used, 60)
})

test('an abort of the first lets in those it kept waiting', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(50)
  const controller = new AbortController()
  const large = credits.acquire(90, controller.signal)
  const small = follow(credits.acquire(50))
  controller.abort('changed my mind')
  await assert.rejects(large, { code: 'SPILLWAY_ABORTED', cause: 'changed my mind' })
  assert.deepEqual([small.state, credits.used, credits.waiting], ['granted', 100, 0])
})

test('a signal that has fired before rejects even where there is room; one that fires after the grant changes nothing', async () => {
  const credits = new Credits(100)
  await assert.rejects(credits.acquire(1, AbortSignal.abort()), { code: 'SPILLWAY_ABORTED' })
  assert.equal(credits.used, 0)
  credits.tryAcquire(100)
  const controller = new AbortController()
  const request = follow(credits.acquire(1, controller.signal))
  credits.release(100)
  controller.abort()
  await settled()
  assert.deepEqual([request.state, credits.used], ['granted', 1])
})

test('a wait that ended leaves no listener on its signal', async () => {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  const credits = new Credits(10)
  credits.tryAcquire(10)
  const requests = [follow(credits.acquire(5, signal)), follow(credits.acquire(9, signal))]
  assert.equal(listeners, 2)
  credits.release(10)
  assert.equal(listeners, 1)
  credits.close()
  assert.equal(listeners, 0)
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['granted', 'SPILLWAY_CLOSED'])
})

test('close ends every wait, holds nothing, and nothing hangs or is reported afterwards', async () => {
  const errors: Error[] = []
  const credits = new Credits(100, { onAccountingError: error => { errors.push(error) } })
  credits.tryAcquire(100)
  const requests = [follow(credits.acquire(1)), follow(credits.acquire(2, new AbortController().signal))]
  credits.close()
  await settled()
  assert.deepEqual(requests.map(request => request.state), ['SPILLWAY_CLOSED', 'SPILLWAY_CLOSED'])
  assert.deepEqual([credits.used, credits.waiting], [0, 0])
  await assert.rejects(credits.acquire(1), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => credits.tryAcquire(1), { code: 'SPILLWAY_CLOSED' })
  credits.release(100)
  credits.setBudget(1000)
  credits.close()
  assert.deepEqual([credits.used, errors.length], [0, 0])
})

test('a larger budget lets waiters in at once, a smaller one makes new requests wait', async () => {
  const credits = new Credits(100)
  credits.tryAcquire(100)
  const requests = [follow(credits.acquire(50)), follow(credits.acquire(60))]
  credits.setBudget(150)
  await settled()
  assert.deepEqual([...requests.map(request => request.state), credits.used], ['granted', 'waiting', 150])
  credits.setBudget(10)
  credits.release(100)
  await settled()
  assert.deepEqual([requests[1]!.state, credits.used, credits.budgetBytes], ['waiting', 50, 10])
  credits.setBudget(0)
  await settled()
  assert.deepEqual([requests[1]!.state, credits.used], ['granted', 110])
  assert.equal(credits.tryAcquire(10 ** 9), true)
  credits.setBudget(100)
  assert.equal(credits.tryAcquire(1), false)
})

test('onStarved is called when a wait begins and after every release that leaves waiters: no waiter is stranded', async () => {
  // A flush returns 50 bytes, later; it is armed only when told, and at most one runs.
  const credits = new Credits(100)
  let armed = false
  credits.onStarved = () => { armed = true }
  const requests: { state: State }[] = []
  for (let i = 0; i < 6; i++) requests.push(follow(credits.acquire(50)))
  let flushes = 0
  while (armed) {
    armed = false
    flushes++
    await settled()
    credits.release(50)
  }
  await settled()
  assert.deepEqual([flushes, credits.waiting, credits.used], [4, 0, 100])
  assert.ok(requests.every(request => request.state === 'granted'))
})

test('a flush that runs inside onStarved may release there, a thousand times in a row', async () => {
  const credits = new Credits(10)
  credits.tryAcquire(10)
  let depth = 0
  let deepest = 0
  const requests: { state: State }[] = []
  for (let i = 0; i < 1000; i++) requests.push(follow(credits.acquire(10)))
  credits.onStarved = () => {
    deepest = Math.max(deepest, ++depth)
    credits.release(10)
    depth--
  }
  credits.release(10)
  await settled()
  assert.ok(requests.every(request => request.state === 'granted'))
  assert.equal(deepest, 1)
  assert.equal(credits.used, 10)
})

test('when nothing can be armed, the wait that begins fails with that error and leaves the line', async () => {
  const credits = new Credits(10)
  credits.tryAcquire(10)
  credits.onStarved = () => { throw new Error('no flush can run') }
  await assert.rejects(credits.acquire(5), /no flush can run/)
  assert.deepEqual([credits.used, credits.waiting], [10, 0])
  credits.release(10)
  assert.equal(credits.tryAcquire(10), true)
})

test('a hundred thousand waiters leave from the middle and the front without a scan', async () => {
  const credits = new Credits(1)
  credits.tryAcquire(1)
  const controllers: AbortController[] = []
  let aborted = 0
  let granted = 0
  for (let i = 0; i < 100_000; i++) {
    const controller = new AbortController()
    if (i % 2 === 0) controllers.push(controller)
    credits.acquire(1, i % 2 === 0 ? controller.signal : undefined).then(() => { granted++ }, () => { aborted++ })
  }
  for (const controller of controllers) controller.abort()
  for (let i = 0; i < 50_000; i++) credits.release(1)
  await settled()
  assert.deepEqual([aborted, granted, credits.waiting, credits.used], [50_000, 50_000, 0, 1])
})

type Step =
  | { op: 'acquire' | 'try' | 'excess' | 'budget'; bytes: number }
  | { op: 'release' | 'abort'; index: number }
  | { op: 'close' }

const bytes = fc.oneof(fc.nat(40), fc.integer({ min: 100, max: 300 }))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 36, arbitrary: fc.record({ op: fc.constantFrom('acquire' as const, 'try' as const), bytes }) },
  { weight: 24, arbitrary: fc.record({ op: fc.constant('release' as const), index: fc.nat(30) }) },
  { weight: 12, arbitrary: fc.record({ op: fc.constant('abort' as const), index: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('budget' as const), bytes: fc.integer({ min: -10, max: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('excess' as const), bytes: fc.integer({ min: 1, max: 50 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('close' as const) }) },
)

test(`whatever is done, the pool does what a list of waiters would (seed ${SEED})`, async () => {
  let waits = 0
  let aborts = 0
  const history = fc.array(step, { minLength: 10, maxLength: 120, size: 'max' })
  await fc.assert(fc.asyncProperty(history, fc.integer({ min: 1, max: 120 }), async (steps, firstBudget) => {
    let errors = 0
    let told = 0
    const credits = new Credits(firstBudget, { onAccountingError: () => { errors++ } })
    credits.onStarved = () => { told++ }
    // The model: what is held, and who waits.
    let budget = firstBudget
    let used = 0
    let excess = 0
    let closed = false
    const held: number[] = []
    const queue: { bytes: number; controller: AbortController; request: { state: State }; state: State }[] = []
    const all: typeof queue = []
    const fits = (n: number): boolean => budget <= 0 || used === 0 || used + n <= budget
    const serve = (): void => {
      while (queue.length > 0 && fits(queue[0]!.bytes)) {
        const waiter = queue.shift()!
        waiter.state = 'granted'
        used += waiter.bytes
        held.push(waiter.bytes)
      }
    }

    for (const now of steps) {
      const toldBefore = told
      let isChange = true
      if (now.op === 'try') {
        isChange = false
        if (closed && now.bytes > 0) {
          assert.throws(() => credits.tryAcquire(now.bytes), { code: 'SPILLWAY_CLOSED' })
        } else {
          const expected = now.bytes === 0 || (queue.length === 0 && fits(now.bytes))
          assert.equal(credits.tryAcquire(now.bytes), expected)
          if (expected && now.bytes > 0) {
            used += now.bytes
            held.push(now.bytes)
          }
        }
      } else if (now.op === 'acquire') {
        const controller = new AbortController()
        const request = follow(credits.acquire(now.bytes, controller.signal))
        const waiter = { bytes: now.bytes, controller, request, state: 'waiting' }
        all.push(waiter)
        isChange = false
        if (now.bytes === 0) {
          waiter.state = 'granted'
        } else if (closed) {
          waiter.state = 'SPILLWAY_CLOSED'
        } else if (queue.length === 0 && fits(now.bytes)) {
          waiter.state = 'granted'
          used += now.bytes
          held.push(now.bytes)
        } else {
          queue.push(waiter)
          waits++
          isChange = true
        }
      } else if (now.op === 'release') {
        const size = held.splice(now.index % Math.max(1, held.length), 1)[0]
        if (size === undefined) continue
        credits.release(size)
        if (!closed) used -= size
        serve()
      } else if (now.op === 'excess') {
        credits.release(used + now.bytes)
        if (!closed) {
          excess++
          used = 0
          held.length = 0
        }
        serve()
      } else if (now.op === 'abort') {
        const waiter = all[now.index % Math.max(1, all.length)]
        if (waiter === undefined) continue
        waiter.controller.abort()
        const at = queue.indexOf(waiter)
        isChange = at >= 0
        if (at >= 0) {
          queue.splice(at, 1)
          waiter.state = 'SPILLWAY_ABORTED'
          aborts++
        }
        serve()
      } else if (now.op === 'budget') {
        credits.setBudget(now.bytes)
        budget = now.bytes
        serve()
      } else {
        credits.close()
        closed = true
        used = 0
        for (const waiter of queue.splice(0)) waiter.state = 'SPILLWAY_CLOSED'
      }
      await settled()
      assert.equal(credits.used, used)
      assert.equal(credits.waiting, queue.length)
      assert.deepEqual(all.map(({ request }) => request.state), all.map(({ state }) => state))
      assert.equal(errors, excess)
      assert.equal(told > toldBefore, isChange && queue.length > 0, 'told if and only if something changed and waiters remain')
      assert.ok(!(used === 0 && queue.length > 0))
    }
    credits.close()
    await settled()
    assert.ok(all.every(({ request }) => request.state !== 'waiting'))
  }), { seed: SEED, numRuns: 400 })
  assert.ok(waits > 1000 && aborts > 100, `the histories are worth something: ${waits} waits, ${aborts} aborts`)
})

test('a line joined without a promise is served in its turn, inside the call that makes room', () => {
  const credits = new Credits(100)
  credits.tryAcquire(100)
  const told: string[] = []
  const leave = [30, 50, 20].map((bytes, i) => credits.join(bytes, () => told.push(`granted ${i}`), error => told.push(`${i} ${(error as { code?: string }).code}`)))
  assert.deepEqual([told, credits.waiting], [[], 3])
  credits.release(30)
  assert.deepEqual([told, credits.used], [['granted 0'], 100])
  assert.equal(leave[0]!(), false, 'too late: the credits are held')
  // The second leaves: the third need not wait behind it.
  credits.release(20)
  assert.deepEqual(told, ['granted 0'])
  assert.equal(leave[1]!(), true)
  assert.deepEqual([told, credits.used, credits.waiting], [['granted 0', 'granted 2'], 100, 0])
  credits.join(1, () => told.push('granted 3'), error => told.push(`3 ${(error as { code?: string }).code}`))
  credits.close()
  assert.deepEqual(told, ['granted 0', 'granted 2', '3 SPILLWAY_CLOSED'])
  assert.throws(() => credits.join(1, () => {}, () => {}), { code: 'SPILLWAY_CLOSED' })
})

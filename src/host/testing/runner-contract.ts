/** What every JobRunner must do: run over the worker, the inline and the simulated one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import type { JobRunner } from '../host.ts'

export interface Outcome {
  error: Error | undefined
  result: unknown
}

/** Submit a job and wait for it through the event loop. */
export function run(runner: JobRunner, name: string, args: unknown = {}, priority = 1): Promise<Outcome> {
  return new Promise(resolve => { runner.submit({ name, args, priority }, (error, result) => { resolve({ error, result }) }) })
}

export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count))
}

/**
 * @param isThreaded the jobs run beside the main thread, even while that does nothing
 * @param isCopying arguments, results and errors are copied
 */
export function runnerContract(name: string, make: () => JobRunner, traits: { isThreaded: boolean; isCopying: boolean }): void {
  const withRunner = (title: string, body: (runner: JobRunner) => Promise<void>): void => {
    test(`${name}: ${title}`, { timeout: 60_000 }, async () => {
      const runner = make()
      try {
        await body(runner)
      } finally {
        await runner.close()
      }
    })
  }

  withRunner('a result arrives through the event loop', async runner => {
    assert.deepEqual(await run(runner, 'add', { a: 2, b: 3 }), { error: undefined, result: { sum: 5 } })
    assert.equal(runner.pending, 0)
  })

  withRunner('the very first job can be had without the event loop, right after construction', async runner => {
    let result: unknown
    runner.submit({ name: 'add', args: { a: 1, b: 1 }, priority: 1 }, (_, value) => { result = value })
    assert.equal(runner.pending, 1)
    assert.equal(result, undefined, 'done was called inside submit')
    assert.equal(runner.pump(true), true)
    assert.deepEqual(result, { sum: 2 })
    assert.equal(runner.pending, 0)
  })

  withRunner('many jobs are delivered once each without the event loop', async runner => {
    const seen: number[] = []
    for (let i = 0; i < 200; i++) {
      runner.submit({ name: 'add', args: { a: i, b: 0 }, priority: i % 3 }, (_, value) => { seen.push((value as { sum: number }).sum) })
      if (i % 7 === 0) runner.pump(false)
    }
    while (runner.pump(true)) { /* until nothing is left */ }
    assert.equal(runner.pending, 0)
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i))
  })

  withRunner('with nothing submitted pump does not wait', async runner => {
    assert.equal(runner.pump(true), false)
    assert.equal(runner.pump(false), false)
    await run(runner, 'add', { a: 1, b: 1 })
    assert.equal(runner.pump(true), false)
  })

  withRunner('an urgent job interrupts a long one', async runner => {
    const words = sharedWords(2)
    const ended: string[] = []
    const long = run(runner, 'waitFor', { words }, 5).then(({ result }) => { ended.push(String(result)) })
    while (Atomics.load(words, 1) === 0) await new Promise(resolve => setImmediate(resolve))
    // The long job runs now, and ends only when this one did.
    const urgent = run(runner, 'raise', { words }, 1).then(({ result }) => { ended.push(String(result)) })
    await Promise.all([long, urgent])
    assert.deepEqual(ended, ['raised', 'waited'])
  })

  withRunner('an urgent job interrupts a long one without the event loop', async runner => {
    const words = sharedWords(2)
    const ended: unknown[] = []
    runner.submit({ name: 'waitFor', args: { words }, priority: 5 }, (_, result) => { ended.push(result) })
    runner.submit({ name: 'raise', args: { words }, priority: 1 }, (_, result) => { ended.push(result) })
    while (runner.pump(true)) { /* both */ }
    assert.deepEqual(ended, ['raised', 'waited'])
  })

  withRunner('of equally urgent jobs the oldest runs first', async runner => {
    const words = sharedWords(31)
    const all = [1, 2, 3].map(id => run(runner, 'mark', { words, steps: 10, id }, 1))
    await Promise.all(all)
    assert.deepEqual([...words.subarray(1)], [1, 2, 3].flatMap(id => new Array<number>(10).fill(id)))
  })

  withRunner('errors keep their class, code, message and details', async runner => {
    const { error } = await run(runner, 'fail')
    assert(error instanceof SpillwayError)
    assert.equal(error.code, 'SPILLWAY_NO_SPACE')
    assert.equal(error.message, 'the disk is full')
    assert.deepEqual(error.details, { bytes: 7 })
    const corrupt = (await run(runner, 'failCorrupt')).error
    assert(corrupt instanceof CorruptionError)
    assert.equal(corrupt.details.offset, 4096)
    assert.equal(((await run(runner, 'failWithoutFile')).error as NodeJS.ErrnoException).code, 'ENOENT')
    const text = (await run(runner, 'failWithText')).error
    assert(text instanceof Error)
    assert.equal(text.message, 'only text')
  })

  withRunner('an unknown job is an error that lists the known ones', async runner => {
    const { error } = await run(runner, 'nonsense')
    assert.equal((error as SpillwayError).code, 'SPILLWAY_INVALID_ARGUMENT')
    assert.match(error!.message, /"nonsense".*waitFor/)
  })

  withRunner('a job that fails does not disturb the others', async runner => {
    const outcomes = await Promise.all([run(runner, 'fail'), run(runner, 'add', { a: 1, b: 2 }), run(runner, 'nonsense')])
    assert.deepEqual(outcomes.map(({ error }) => error === undefined), [false, true, false])
  })

  withRunner('a callback may submit the next job, and pump for it', async runner => {
    const results: unknown[] = []
    runner.submit({ name: 'add', args: { a: 1, b: 0 }, priority: 1 }, () => {
      runner.submit({ name: 'add', args: { a: 2, b: 0 }, priority: 1 }, (_, result) => { results.push(result) })
      runner.pump(true)
    })
    while (runner.pump(true)) { /* both */ }
    assert.deepEqual(results, [{ sum: 2 }])
  })

  withRunner('a callback that throws loses no other result', async runner => {
    const results: unknown[] = []
    runner.submit({ name: 'add', args: { a: 1, b: 0 }, priority: 1 }, () => { throw new Error('of the callback') })
    runner.submit({ name: 'add', args: { a: 2, b: 0 }, priority: 1 }, (_, result) => { results.push(result) })
    assert.throws(() => { runner.pump(true) }, /of the callback/)
    while (runner.pump(true)) { /* the other one */ }
    assert.deepEqual(results, [{ sum: 2 }])
  })

  withRunner('close aborts what is unfinished and refuses what comes after', async runner => {
    const words = sharedWords(2)
    const running = run(runner, 'waitFor', { words })
    const waiting = run(runner, 'add', { a: 1, b: 1 }, 9)
    while (Atomics.load(words, 1) === 0) await new Promise(resolve => setImmediate(resolve))
    await runner.close()
    assert.equal(runner.pending, 0)
    for (const { error } of await Promise.all([running, waiting])) assert.equal((error as SpillwayError).code, 'SPILLWAY_ABORTED')
    assert.throws(() => { runner.submit({ name: 'add', args: {}, priority: 1 }, () => {}) }, { code: 'SPILLWAY_CLOSED' })
    assert.equal(runner.pump(true), false)
    const steps = words[1]
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(words[1], steps, 'the job still runs')
    await runner.close()
  })

  withRunner('jobs aborted by close can be had from pump', async runner => {
    const words = sharedWords(2)
    const codes: unknown[] = []
    runner.submit({ name: 'waitFor', args: { words }, priority: 1 }, error => { codes.push((error as SpillwayError).code) })
    const closed = runner.close()
    while (runner.pump(true)) { /* all */ }
    assert.deepEqual(codes, ['SPILLWAY_ABORTED'])
    await closed
    assert.equal(codes.length, 1)
  })

  if (traits.isThreaded) {
    withRunner('jobs run while the main thread is busy, and pump without block fetches them', async runner => {
      const words = sharedWords(2)
      let raised = false
      runner.submit({ name: 'raise', args: { words }, priority: 1 }, () => { raised = true })
      while (!runner.pump(false)) Atomics.wait(words, 1, 0, 5)
      assert(raised)
    })
  }

  if (traits.isCopying) {
    withRunner('what cannot be copied is an error: arguments at once, a result when it is there', async runner => {
      assert.throws(() => { runner.submit({ name: 'add', args: { a: () => 1 }, priority: 1 }, () => {}) }, { code: 'SPILLWAY_INVALID_ARGUMENT' })
      assert.equal(runner.pending, 0)
      const { error } = await run(runner, 'notCloneable')
      assert.match(error!.message, /could not be cloned/)
    })
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFile } from '../host.ts'
import { InlineRunner } from '../inline-runner.ts'
import { beginSync, lateSyncError } from './sync-wait.ts'

/** A file whose syncs end when they are told to. */
class SlowFile {
  readonly path = '/store/00000007.table'
  syncsNow = 0
  fails: Error | undefined
  settle!: () => void
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.settle = () => this.fails === undefined ? resolve() : reject(this.fails)
    })
  }
  syncSync(): void {
    this.syncsNow++
    if (this.fails !== undefined) throw this.fails
  }
}

function runnerOf(file: SlowFile): { runner: InlineRunner, ended: unknown[], slices: () => number } {
  const module = { jobs: { *store() {
    const wait = beginSync(file as unknown as HostFile)
    if (wait === undefined) return 'at once'
    while (!wait.isOver) yield wait
    wait.check()
    return 'stored'
  } } }
  let slices = 0
  const runner = new InlineRunner({
    module, context: {} as never, slice: { begin: () => { slices++ }, more: () => true }, soon: task => { setImmediate(task) },
  })
  const ended: unknown[] = []
  runner.submit({ name: 'store', args: undefined, priority: 0 }, (error, result) => ended.push(error?.message ?? result))
  return { runner, ended, slices: () => slices }
}

const turns = async (count: number): Promise<void> => { for (let i = 0; i < count; i++) await new Promise(resolve => { setImmediate(resolve) }) }

test('a job waits for its sync off the thread, without polling', async () => {
  const file = new SlowFile()
  const { ended, slices, runner } = runnerOf(file)
  await turns(20)
  assert.deepEqual([ended, file.syncsNow], [[], 0])
  assert.ok(slices() <= 2, `${slices()} slices`)
  file.settle()
  await turns(4)
  assert.deepEqual([ended, runner.pending], [['stored'], 0])
})

test('who blocks the thread for the job syncs himself', async () => {
  const file = new SlowFile()
  const { ended, runner } = runnerOf(file)
  assert.equal(runner.pump(true), true)
  assert.deepEqual([ended, file.syncsNow], [['stored'], 1])
  file.settle()
  await turns(4)
  assert.deepEqual(ended, ['stored'])
})

test('as long as the event loop gets no turn, no further sync is begun off the main thread', async () => {
  const file = new SlowFile()
  const first = runnerOf(file)
  first.runner.pump(true)
  const second = runnerOf(new SlowFile())
  second.runner.pump(true)
  assert.deepEqual([first.ended, second.ended], [['stored'], ['at once']])
  file.settle()
  await turns(4)
  const third = new SlowFile()
  const { ended } = runnerOf(third)
  await turns(3)
  third.settle()
  await turns(4)
  assert.deepEqual(ended, ['stored'])
})

test('a sync that fails fails the job, either way', async () => {
  for (const blocks of [false, true]) {
    const file = new SlowFile()
    file.fails = new Error('EIO')
    const { ended, runner } = runnerOf(file)
    await turns(3)
    if (blocks) runner.pump(true)
    else file.settle()
    await turns(4)
    assert.deepEqual(ended, ['EIO'])
    if (blocks) file.settle()
    await turns(2)
  }
})

test('an error that comes when the thread has gone on without it is told to the next job of its directory, once', async () => {
  const file = new SlowFile()
  const { ended, runner } = runnerOf(file)
  runner.pump(true)
  assert.deepEqual(ended, ['stored'])
  file.fails = new Error('EIO')
  file.settle()
  await turns(3)
  assert.equal(lateSyncError('/elsewhere'), undefined)
  assert.equal(lateSyncError('/store')?.message, 'EIO')
  assert.equal(lateSyncError('/store'), undefined)
})

/** Jobs for the tests of runners. Shared words (`Int32Array` over a SharedArrayBuffer) make them observable and steerable. */
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import type { Job, JobContext, JobWait } from '../host.ts'

export const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './jobs-worker.ts' : './jobs-worker.js', import.meta.url)

function* add(_context: JobContext, { a, b }: { a: number; b: number }) {
  yield
  return { sum: a + b }
}

/** Yields until the word is not zero: ends only if other jobs, or the main thread, get their turn. */
function* waitFor(_context: JobContext, { words }: { words: Int32Array }) {
  let steps = 0
  while (Atomics.load(words, 0) === 0) {
    Atomics.store(words, 1, ++steps)
    yield
  }
  return 'waited'
}

function* raise(_context: JobContext, { words }: { words: Int32Array }) {
  Atomics.store(words, 0, 1)
  return 'raised'
}

/** Writes its mark into the next free word, `steps` times; word 0 counts. */
function* mark(_context: JobContext, { words, steps, id }: { words: Int32Array; steps: number; id: number }) {
  for (let i = 0; i < steps; i++) {
    words[Atomics.add(words, 0, 1) + 1] = id
    yield
  }
  return id
}

function* writeFile({ files }: JobContext, { path, text }: { path: string; text: string }) {
  const bytes = new TextEncoder().encode(text)
  const file = files.create(path)
  yield
  file.writeSync(bytes, 0, bytes.length, 0)
  yield
  file.syncSync()
  file.close()
  return bytes.length
}

/** Says whether its file was made durable off the main thread. */
function* syncFile({ files, beginSync }: JobContext, { path }: { path: string }): Generator<JobWait | void, string, void> {
  const file = files.create(path)
  file.writeSync(new Uint8Array(100), 0, 100, 0)
  yield
  const wait = beginSync?.(file)
  if (wait === undefined) {
    file.syncSync()
  } else {
    while (!wait.isOver) yield wait
    wait.check()
  }
  file.close()
  return wait === undefined ? 'here' : 'beside'
}

function* fail(): Generator<void, never, void> {
  yield
  throw new SpillwayError('SPILLWAY_NO_SPACE', 'the disk is full', { details: { bytes: 7 } })
}

function* failCorrupt(): Generator<void, never, void> {
  throw new CorruptionError('000007.tbl', 4096, 'checksum mismatch')
}

function* failWithoutFile({ files }: JobContext) {
  files.openRead('/nowhere/at/all')
  yield
}

function* failWithText(): Generator<void, never, void> {
  throw 'only text'
}

function* notCloneable() {
  yield
  return () => 1
}

function* exit() {
  yield
  process.exit(7)
}

function* throwLater() {
  queueMicrotask(() => { throw new Error('thrown outside of any job') })
  yield
  return 'fine'
}

function* exhaustMemory() {
  const hoard: unknown[] = []
  for (;;) {
    hoard.push({ filler: new Array(100).fill(hoard.length) })
    if (hoard.length % 1000 === 0) yield
  }
}

/** Never yields again. */
function* hang(_context: JobContext, { words }: { words: Int32Array }) {
  Atomics.store(words, 0, 1)
  Atomics.notify(words, 0)
  while (Atomics.load(words, 0) === 1) { /* it never changes */ }
  yield
}

/** Leaves its mark when it is dropped. */
function* cleanUp(_context: JobContext, { words }: { words: Int32Array }) {
  try {
    for (;;) yield
  } finally {
    Atomics.add(words, 0, 1)
  }
}

export const jobs: Record<string, Job<any, unknown>> = {
  add, waitFor, raise, mark, writeFile, syncFile, fail, failCorrupt, failWithoutFile, failWithText, notCloneable,
  exit, throwLater, exhaustMemory, hang, cleanUp,
}

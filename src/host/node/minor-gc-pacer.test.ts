import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PerformanceObserver, constants } from 'node:perf_hooks'
import { collectYoungGarbage } from './garbage.ts'
import { MAX_WAITING_BYTES, YoungGarbage } from './minor-gc-pacer.ts'

const KIB = 1024
const OBJECT_BYTES = 200

/** A young generation that collects by itself at this many bytes of objects, and counts the bytes outside it. */
class Heap {
  usedBytes_ = 0
  waitingBytes = 0
  mostWaitingBytes = 0
  collections = 0
  ownCollections = 0
  readonly sizeBytes: number

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes
  }

  usedBytes(): number { return this.usedBytes_ }

  collect(): void {
    this.collections++
    this.#clear()
  }

  allocate(bufferBytes: number, objectBytes: number): void {
    this.usedBytes_ += objectBytes
    if (this.usedBytes_ > this.sizeBytes) {
      this.ownCollections++
      this.#clear()
      this.usedBytes_ = objectBytes
    }
    this.waitingBytes += bufferBytes
    this.mostWaitingBytes = Math.max(this.mostWaitingBytes, this.waitingBytes)
  }

  #clear(): void {
    this.usedBytes_ = this.waitingBytes = 0
  }
}

function handOut(heap: Heap, rowBytes: number, totalBytes: number): void {
  const garbage = new YoungGarbage(heap)
  for (let bytes = 0; bytes < totalBytes; bytes += 100 * rowBytes) {
    heap.allocate(100 * rowBytes, 100 * OBJECT_BYTES)
    garbage.add(100 * rowBytes, 100 * OBJECT_BYTES)
  }
}

test('of buffers that were handed out no more wait than a few MiB, whatever the size of the young generation', () => {
  for (const sizeBytes of [512 * KIB, 4096 * KIB, 16384 * KIB, 131072 * KIB]) {
    for (const rowBytes of [16, 116, 300, KIB, 16 * KIB]) {
      const heap = new Heap(sizeBytes)
      handOut(heap, rowBytes, 256 * 1024 * KIB)
      assert.ok(heap.mostWaitingBytes <= MAX_WAITING_BYTES + 100 * rowBytes, `rows of ${rowBytes}, ${sizeBytes}: ${heap.mostWaitingBytes} bytes`)
    }
  }
})

test('a host that does not tell what waits is asked once', () => {
  let asked = 0
  const garbage = new YoungGarbage({
    usedBytes() {
      asked++
      throw new Error('not here')
    },
    collect() {},
  })
  for (let i = 0; i < 100; i++) garbage.add(1024 * KIB, 0)
  assert.equal(asked, 1)
})

test('nothing is collected where the collector is first by itself', () => {
  const heap = new Heap(16384 * KIB)
  handOut(heap, 96, 256 * 1024 * KIB)
  assert.ok(heap.ownCollections > 10)
  assert.equal(heap.collections, 0)
  const small = new Heap(1024 * KIB)
  handOut(small, KIB, 256 * 1024 * KIB)
  assert.ok(small.ownCollections > 10)
  assert.equal(small.collections, 0)
})

test('where rows are large it is collected no oftener than the bound asks for', () => {
  const heap = new Heap(16384 * KIB)
  handOut(heap, KIB, 256 * 1024 * KIB)
  assert.ok(heap.collections > 0 && heap.collections <= 256 * 1024 * KIB / MAX_WAITING_BYTES, String(heap.collections))
})

test('what is collected is the young generation only', async () => {
  const kinds: number[] = []
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) kinds.push((entry as unknown as { detail: { kind: number } }).detail.kind)
  })
  observer.observe({ entryTypes: ['gc'] })
  for (let i = 0; i < 20; i++) collectYoungGarbage()
  await new Promise(resolve => setTimeout(resolve, 10))
  for (let turn = 0; turn < 100 && kinds.length < 20; turn++) await new Promise(setImmediate)
  observer.disconnect()
  const minor = kinds.filter(kind => kind === constants.NODE_PERFORMANCE_GC_MINOR).length
  assert.ok(minor >= 20, `${minor} minor of ${kinds.length}: ${kinds.join(' ')}`)
  assert.ok(kinds.length - minor < 5, `${kinds.length - minor} others`)
})

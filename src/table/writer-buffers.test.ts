import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TableWriter } from './table-writer.ts'
import { MemoryFile } from './testing/memory-file.ts'
import { EntryCursor, put, sortEntries, testKernels, writeTable } from './testing/model.ts'
import { WriterBuffers } from './writer-buffers.ts'

const BLOCK_BYTES = 512
const BITS_PER_KEY = 10
const options = { blockBytes: BLOCK_BYTES, filterBitsPerKey: BITS_PER_KEY }

function entries(prefix: string, count: number): ReturnType<typeof put>[] {
  return sortEntries(Array.from({ length: count }, (_, i) => put(prefix + String(i).padStart(6, '0'), i + 1, `value ${i}`)))
}

test('a table written with the buffers of others is the same to the byte, also after one that was given up', () => {
  const buffers = new WriterBuffers(BLOCK_BYTES, BITS_PER_KEY)
  const wanted = writeTable(entries('key', 3000), options).file
  for (const before of [0, 1, 7000]) {
    // Never finished: blocks, filter and index nodes hold something of it.
    const writer = new TableWriter(new MemoryFile(), { ...options, fileNumber: 1, kernels: testKernels(), compression: 'lz4', buffers })
    const cursor = new EntryCursor()
    for (const entry of entries('another '.repeat(20), before)) writer.add(cursor.at(entry))
    const { file } = writeTable(entries('key', 3000), { ...options, buffers })
    assert.deepEqual(file, wanted)
  }
})

test('buffers made for other options are refused', () => {
  for (const other of [new WriterBuffers(1024, BITS_PER_KEY), new WriterBuffers(BLOCK_BYTES, 0)]) {
    const writing = { ...options, fileNumber: 1, kernels: testKernels(), compression: 'lz4', buffers: other } as const
    assert.throws(() => new TableWriter(new MemoryFile(), writing), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
})

/** Reads a memtable that another thread filled, and answers with all it found, in order. */
import { parentPort, workerData } from 'node:worker_threads'
import { Memtable } from '../memtable.ts'

const table = new Memtable(workerData as SharedArrayBuffer)
const lines: string[] = []
const cursor = table.cursor()
for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
  const key = Buffer.from(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)).toString('hex')
  const value = Buffer.from(cursor.value.subarray(cursor.valueStart, cursor.valueEnd)).toString('hex')
  lines.push(`${key} ${cursor.seq} ${cursor.kind} ${value}`)
}
parentPort!.postMessage({ entryCount: table.entryCount, ranges: table.ranges(), lines })

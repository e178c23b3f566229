/** By hand: `node dist/memtable/memtable.bench.js [entries]`. Speed of the memtable, and its overhead per entry. */
import { Hit, MAX_SEQ, KIND_PUT } from '../base/cursor.ts'
import { arenaBuffer } from './arena.ts'
import { Memtable } from './memtable.ts'

const ENTRIES = Number(process.argv[2] ?? 300_000)
const KEY = 16
const VALUE = 100
const ROUNDS = 5

type KeyMaker = (keys: Uint8Array, at: number, i: number) => void

let random = 0x2545f491
function nextRandom(): number {
  random ^= random << 13
  random ^= random >>> 17
  random ^= random << 5
  return random >>> 0
}

const shapes: Record<string, KeyMaker> = {
  'random bytes': (keys, at) => {
    for (let j = 0; j < KEY; j++) keys[at + j] = nextRandom() >>> 11
  },
  'decimal, shuffled': (keys, at, i) => writeText(keys, at, 'user:', (i * 7919) % ENTRIES),
  'decimal, ascending': (keys, at, i) => writeText(keys, at, 'user:', i),
}

function writeText(keys: Uint8Array, at: number, prefix: string, n: number): void {
  const text = prefix + String(n).padStart(KEY - prefix.length, '0')
  for (let j = 0; j < KEY; j++) keys[at + j] = text.charCodeAt(j)
}

/** Best of the rounds, in operations a second. */
function report(name: string, operations: number, best: number): string {
  return `${name} ${(operations / best / 1e6).toFixed(2)} M/s`
}

function seconds(task: () => void): number {
  const start = process.hrtime.bigint()
  task()
  return Number(process.hrtime.bigint() - start) / 1e9
}

for (const [name, make] of Object.entries(shapes)) {
  const keys = new Uint8Array(ENTRIES * KEY)
  const absent = new Uint8Array(ENTRIES * KEY)
  for (let i = 0; i < ENTRIES; i++) {
    make(keys, i * KEY, i)
    absent.set(keys.subarray(i * KEY, i * KEY + KEY), i * KEY)
    absent[i * KEY + 13]! ^= 0x80
  }
  const value = new Uint8Array(VALUE).fill(120)
  const table = new Memtable(arenaBuffer(Math.ceil((ENTRIES * 200) / 4096) * 4096 + 65536))
  const hit = new Hit()
  const best = { insert: Infinity, hit: Infinity, miss: Infinity, iterate: Infinity, back: Infinity, seek: Infinity }
  let sum = 0
  let empty = 0
  for (let round = 0; round < ROUNDS; round++) {
    table.reset()
    empty = table.usedBytes
    best.insert = Math.min(best.insert, seconds(() => {
      for (let i = 0; i < ENTRIES; i++) table.put(keys, i * KEY, i * KEY + KEY, i + 1, KIND_PUT, value, 0, VALUE, 0)
    }))
    best.hit = Math.min(best.hit, seconds(() => {
      // Another order than that of the inserts, or the records would stand in line.
      for (let i = 0, k = 0; i < ENTRIES; i++, k = (k + 104729) % ENTRIES) {
        if (!table.get(keys, k * KEY, k * KEY + KEY, MAX_SEQ, hit)) throw new Error('lost a key')
        sum += hit.valueStart
      }
    }))
    best.miss = Math.min(best.miss, seconds(() => {
      for (let i = 0, k = 0; i < ENTRIES; i++, k = (k + 104729) % ENTRIES) {
        if (table.get(absent, k * KEY, k * KEY + KEY, MAX_SEQ, hit)) sum++
      }
    }))
    const cursor = table.cursor()
    best.iterate = Math.min(best.iterate, seconds(() => {
      for (cursor.seekToFirst(); cursor.valid; cursor.next()) sum += cursor.valueEnd + cursor.keyStart
    }))
    best.back = Math.min(best.back, seconds(() => {
      for (cursor.seekToLast(); cursor.valid; cursor.prev()) sum += cursor.valueEnd + cursor.keyStart
    }))
    best.seek = Math.min(best.seek, seconds(() => {
      for (let i = 0, k = 0; i < ENTRIES; i++, k = (k + 104729) % ENTRIES) {
        cursor.seek(keys, k * KEY, k * KEY + KEY)
        sum += cursor.keyStart
      }
    }))
  }
  const overhead = (table.usedBytes - table.reusableBytes - empty) / table.entryCount - KEY - VALUE
  const reusable = table.reusableBytes / table.entryCount
  console.log(
    `${name}, ${table.entryCount} entries: ${report('insert', ENTRIES, best.insert)}, ${report('hit', ENTRIES, best.hit)}, ` +
    `${report('miss', ENTRIES, best.miss)}, ${report('seek', ENTRIES, best.seek)}, ${report('iterate', table.entryCount, best.iterate)}, ` +
    `${report('backwards', table.entryCount, best.back)}; overhead ${overhead.toFixed(1)} B an entry ` +
    `(16 header, ${(overhead - 16).toFixed(1)} nodes) + ${reusable.toFixed(1)} reusable` + (sum < 0 ? ' ' : ''),
  )
}

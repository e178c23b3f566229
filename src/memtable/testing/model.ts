/** What a memtable should hold, the slow and obvious way: a sorted array. And the comparisons between the two. */
import assert from 'node:assert/strict'
import type { Cursor } from '../../base/cursor.ts'
import { Hit, KIND_DELETE, MAX_SEQ } from '../../base/cursor.ts'
import { compareKeys } from '../../base/bytes.ts'
import type { Memtable } from '../memtable.ts'

export interface Version {
  key: Uint8Array
  seq: number
  kind: number
  value: Uint8Array
}

export class Model {
  /** In cursor order. */
  readonly versions: Version[] = []
  smallestSeq = 0
  largestSeq = 0

  put(key: Uint8Array, seq: number, kind: number, value: Uint8Array, keepSeq: number): void {
    const at = this.lowerBound(key)
    const newest = this.versions[at]
    const replace = newest !== undefined && compareKeys(newest.key, key) === 0 && newest.seq > keepSeq
    this.versions.splice(at, replace ? 1 : 0, { key, seq, kind, value })
    this.noteSeq(seq)
  }

  noteSeq(seq: number): void {
    if (this.smallestSeq === 0) this.smallestSeq = seq
    this.largestSeq = seq
  }

  get(key: Uint8Array, snapshotSeq: number): Version | undefined {
    for (let i = this.lowerBound(key); i < this.versions.length && compareKeys(this.versions[i]!.key, key) === 0; i++) {
      if (this.versions[i]!.seq <= snapshotSeq) return this.versions[i]
    }
    return undefined
  }

  /** Index of the first version whose key is >= the given one. */
  lowerBound(key: Uint8Array): number {
    let low = 0
    let high = this.versions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys(this.versions[middle]!.key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** `key` in the middle of a larger array, so that a forgotten start or end shows. */
export function framed(key: Uint8Array): { bytes: Uint8Array; start: number; end: number } {
  const bytes = new Uint8Array(key.length + 5).fill(0x5a)
  bytes.set(key, 3)
  return { bytes, start: 3, end: 3 + key.length }
}

export function putFramed(table: Memtable, key: Uint8Array, seq: number, kind: number, value: Uint8Array, keepSeq: number): void {
  const k = framed(key)
  const v = framed(value)
  table.put(k.bytes, k.start, k.end, seq, kind, v.bytes, v.start, v.end, keepSeq)
}

/** The cursor stands on this version, or is invalid for undefined. */
export function assertAt(cursor: Cursor, expected: Version | undefined): void {
  assert.equal(cursor.valid, expected !== undefined, expected === undefined ? 'the cursor should be at an end' : 'the cursor ended early')
  if (expected === undefined) return
  assert.equal(compareKeys(cursor.key.subarray(cursor.keyStart, cursor.keyEnd), expected.key), 0, 'key')
  assert.equal(cursor.seq, expected.seq, 'seq')
  assert.equal(cursor.kind, expected.kind, 'kind')
  assert.equal(compareKeys(cursor.value.subarray(cursor.valueStart, cursor.valueEnd), expected.value), 0, 'value')
}

export function assertGet(table: Memtable, model: Model, key: Uint8Array, snapshotSeq: number, hit: Hit): void {
  const expected = model.get(key, snapshotSeq)
  const k = framed(key)
  assert.equal(table.get(k.bytes, k.start, k.end, snapshotSeq, hit), expected !== undefined)
  assert.equal(hit.seq, expected?.seq ?? 0)
  if (expected === undefined) return
  assert.equal(hit.kind, expected.kind)
  assert.equal(compareKeys(hit.value.subarray(hit.valueStart, hit.valueEnd), expected.value), 0)
}

/** Everything: counters, both directions, every lookup, and seeks to each probe followed by a step either way. */
export function assertSame(table: Memtable, model: Model, probes: Uint8Array[]): void {
  const { versions } = model
  assert.equal(table.entryCount, versions.length)
  assert.equal(table.deleteCount, versions.filter((version) => version.kind === KIND_DELETE).length)
  assert.equal(table.smallestSeq, model.smallestSeq)
  assert.equal(table.largestSeq, model.largestSeq)

  const cursor = table.cursor()
  cursor.seekToFirst()
  for (const version of versions) {
    assertAt(cursor, version)
    cursor.next()
  }
  assertAt(cursor, undefined)
  cursor.seekToLast()
  for (let i = versions.length - 1; i >= 0; i--) {
    assertAt(cursor, versions[i])
    cursor.prev()
  }
  assertAt(cursor, undefined)

  const hit = new Hit()
  for (const { key, seq } of versions) {
    assertGet(table, model, key, MAX_SEQ, hit)
    assertGet(table, model, key, seq, hit)
    assertGet(table, model, key, seq - 1, hit)
  }
  for (const probe of probes) {
    assertGet(table, model, probe, MAX_SEQ, hit)
    const at = model.lowerBound(probe)
    const k = framed(probe)
    cursor.seek(k.bytes, k.start, k.end)
    assertAt(cursor, versions[at])
    cursor.prev()
    assertAt(cursor, at < versions.length ? versions[at - 1] : undefined)
    cursor.seek(k.bytes, k.start, k.end)
    cursor.next()
    assertAt(cursor, versions[at + 1])
    cursor.seekBefore(k.bytes, k.start, k.end)
    assertAt(cursor, versions[at - 1])
    cursor.prev()
    assertAt(cursor, versions[at - 2])
    cursor.seekBefore(k.bytes, k.start, k.end)
    cursor.next()
    assertAt(cursor, at > 0 ? versions[at] : undefined)
  }
}

/** Deterministic 32-bit numbers. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A buffer full of what a former user left behind. */
export function dirtyBuffer(bytes: number, seed: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes)
  const random = randomSource(seed)
  const words = new Int32Array(buffer, 0, bytes >>> 2)
  for (let i = 0; i < words.length; i++) words[i] = random(2 ** 32)
  return buffer
}

export function text(string: string): Uint8Array {
  return new TextEncoder().encode(string)
}

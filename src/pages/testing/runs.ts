/** Builds runs of entries, and reads entries from cursors and merges. */
import type { Account } from '../../memory/budget.ts'
import { compareKeys } from '../../base/bytes.ts'
import type { PagedCursor } from '../paged-cursor.ts'
import type { PagedMerge } from '../paged-merge.ts'
import { PagedRunBuilder } from '../paged-run-builder.ts'
import type { PagedRunOptions } from '../paged-run-builder.ts'
import type { PagedRun } from '../paged-run.ts'
import type { PageStore } from '../paged-store.ts'

export type Entry = [key: string, value: string]

export function build(store: PageStore, account: Account, entries: readonly Entry[], options: PagedRunOptions = {}): PagedRun {
  const builder = new PagedRunBuilder(store, account, options)
  for (const [key, value] of entries) {
    const k = Buffer.from(key)
    const v = Buffer.from(value)
    builder.add(k, 0, k.length, v, 0, v.length)
  }
  return builder.finish()
}

/** Entries with the even numbers from 2 x `from` on as keys of eight digits. */
export function numbered(from: number, to: number, value = 'value'): Entry[] {
  const entries: Entry[] = []
  for (let i = from; i < to; i++) entries.push([digits(2 * i), `${value}-${i}`])
  return entries
}

export function digits(number: number): string {
  return String(number).padStart(8, '0')
}

export function sortedEntries(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => compareKeys(Buffer.from(a[0]), Buffer.from(b[0])))
}

export function walk(cursor: PagedCursor): Entry[] {
  const entries: Entry[] = []
  while (cursor.next()) entries.push(current(cursor))
  return entries
}

export function current(cursor: PagedCursor): Entry {
  const { bytes } = cursor
  return [text(bytes, cursor.keyStart, cursor.keyEnd), text(bytes, cursor.valueStart, cursor.valueEnd)]
}

export function merged(merge: PagedMerge, each?: () => void): Entry[] {
  const entries: Entry[] = []
  while (merge.next()) {
    entries.push([text(merge.bytes, merge.keyStart, merge.keyEnd), text(merge.bytes, merge.valueStart, merge.entryEnd)])
    each?.()
  }
  return entries
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString()
}

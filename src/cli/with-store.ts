import { readdirSync } from 'node:fs'
import { newestManifest, parseName } from '../base/file-names.ts'
import type { FileKind } from '../base/file-names.ts'
import { changedError } from '../host/locked-error.ts'
import { memoryLimitBytes } from '../host/node/limits.ts'
import type { Args } from './command.ts'
import { CommandError } from './errors.ts'
import type { Io, Store, StoreOptions } from './io.ts'

/** A larger cache would not help one pass. */
const READING_BUDGET_BYTES = 64 * 1024 * 1024

/** The directory need not be writable. */
export async function readStore<T>(args: Args, io: Io, use: (store: Store) => Promise<T>): Promise<T> {
  let before = 0
  const noted = (store: Store): Promise<T> => {
    before = store.stats().manifest
    return use(store)
  }
  try {
    return await withStore(args, io, false, noted, { budget: readingBudgetBytes(), readOnly: true })
  } catch (error) {
    // Writers are not locked out and may remove files.
    if (before > 0 && newestIn(args.directory) > before) throw changedError(args.directory, error)
    throw error
  }
}

function newestIn(directory: string): number {
  try {
    return newestManifest(readdirSync(directory))
  } catch {
    // The command has reported the error.
    return 0
  }
}

export function readingBudgetBytes(): number {
  return Math.min(READING_BUDGET_BYTES, Math.floor(memoryLimitBytes() / 4))
}

/** `create`: create a missing store. */
export async function withStore<T>(
  args: Args, io: Io, create: boolean, use: (store: Store) => Promise<T>, options: StoreOptions = {},
): Promise<T> {
  if (!create) requireStore(args.directory, ['manifest'])
  const budget = args.size('budget')
  const store = await io.open(args.directory, {
    ...options, createIfMissing: create, ...(budget === undefined ? {} : { budget }),
  })
  let result: T
  try {
    result = await use(store)
  } catch (error) {
    // The first error counts.
    await store.close().catch(() => {})
    throw error
  }
  await store.close()
  return result
}

/** Opening would take a lock and leave a file behind. `kinds`: files that prove a store. */
export function requireStore(directory: string, kinds: readonly FileKind[]): void {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ENOENT') throw new CommandError('NO_STORE', `there is no directory ${directory}. "spillway import" and "spillway put" create a store`)
    if (code === 'ENOTDIR') throw new CommandError('NO_STORE', `${directory} is not a directory`)
    throw error
  }
  if (!names.some(name => kinds.includes(parseName(name).kind))) {
    throw new CommandError('NO_STORE', `${directory} has no Spillway store. "spillway import" and "spillway put" create one`)
  }
}

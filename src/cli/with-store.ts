/** Open the store of a command, run, close: also when the run fails. */
import { readdirSync } from 'node:fs'
import { newestManifest, parseName } from '../base/file-names.ts'
import type { FileKind } from '../base/file-names.ts'
import { changedError } from '../host/locked-error.ts'
import { memoryLimitBytes } from '../host/node/limits.ts'
import type { Args } from './command.ts'
import { CommandError } from './errors.ts'
import type { Io, Store, StoreOptions } from './io.ts'

/** Enough to read any store well; a quarter of the machine would only be a larger cache for one pass. */
const READING_BUDGET_BYTES = 64 * 1024 * 1024

/** For commands that only read: the default budget is modest, and nothing in the directory is changed, so that it need not be writable. */
export async function readStore<T>(args: Args, io: Io, use: (store: Store) => Promise<T>): Promise<T> {
  let before = 0
  const noted = (store: Store): Promise<T> => {
    before = store.stats().manifest
    return use(store)
  }
  try {
    return await withStore(args, io, false, noted, { budget: readingBudgetBytes(), readOnly: true })
  } catch (error) {
    // Reading keeps no writer out, and who writes removes files that were to be read.
    if (before > 0 && newestIn(args.directory) > before) throw changedError(args.directory, error)
    throw error
  }
}

function newestIn(directory: string): number {
  try {
    return newestManifest(readdirSync(directory))
  } catch {
    // Why it cannot be read any more is what the command has met itself.
    return 0
  }
}

export function readingBudgetBytes(): number {
  return Math.min(READING_BUDGET_BYTES, Math.floor(memoryLimitBytes() / 4))
}

/** `create`: make the store if the directory has none. Otherwise a directory without a store is an error and left as it is. */
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
    // What went wrong first is what matters; closing may only fail for the same reason.
    await store.close().catch(() => {})
    throw error
  }
  await store.close()
  return result
}

/** Opening would take a lock and leave a file behind, so look first. `kinds`: files that make a directory that of a store. */
export function requireStore(directory: string, kinds: readonly FileKind[]): void {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ENOENT') throw new CommandError('NO_STORE', `there is no directory ${directory}, so no store to open. "spillway import" and "spillway put" make one`)
    if (code === 'ENOTDIR') throw new CommandError('NO_STORE', `${directory} is not a directory`)
    throw error
  }
  if (!names.some(name => kinds.includes(parseName(name).kind))) {
    throw new CommandError('NO_STORE', `${directory} has no Spillway store. "spillway import" and "spillway put" make one`)
  }
}

/** Open the store of a command, run, close: also when the run fails. */
import { readdirSync } from 'node:fs'
import { parseName } from '../base/file-names.ts'
import { memoryLimitBytes } from '../host/node/limits.ts'
import type { Args } from './command.ts'
import { CommandError } from './errors.ts'
import type { Io, Store, StoreOptions } from './io.ts'

/** Enough to read any store well; a quarter of the machine would only be a larger cache for one pass. */
const READING_BUDGET_BYTES = 64 * 1024 * 1024

/** For commands that only read: the default budget is modest. */
export function readStore<T>(args: Args, io: Io, use: (store: Store) => Promise<T>): Promise<T> {
  return withStore(args, io, false, use, { budget: Math.min(READING_BUDGET_BYTES, Math.floor(memoryLimitBytes() / 4)) })
}

/** `create`: make the store if the directory has none. Otherwise a directory without a store is an error and left as it is. */
export async function withStore<T>(
  args: Args, io: Io, create: boolean, use: (store: Store) => Promise<T>, options: StoreOptions = {},
): Promise<T> {
  if (!create) requireStore(args.directory)
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

/** Opening would take a lock and leave a file behind, so look first. */
function requireStore(directory: string): void {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ENOENT') throw new CommandError('NO_STORE', `there is no directory ${directory}, so no store to open. "spillway import" and "spillway put" make one`)
    if (code === 'ENOTDIR') throw new CommandError('NO_STORE', `${directory} is not a directory`)
    throw error
  }
  if (!names.some(name => parseName(name).kind === 'manifest')) {
    throw new CommandError('NO_STORE', `${directory} has no Spillway store. "spillway import" and "spillway put" make one`)
  }
}

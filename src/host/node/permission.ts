/**
 * Restrictions of Node's permission model (`--permission`).
 *
 * It refuses fsync and fdatasync whatever is granted. Files are made durable by rewriting (`rewriting.ts`), but directory entries
 * cannot be, so durability 'disk' is unavailable.
 */
import { constants, fsyncSync } from 'node:fs'
import { errorCode } from '../file-error.ts'
import type { HostShortcomings } from '../host.ts'

type Permission = { has(scope: string): boolean } | undefined

/** A descriptor that is never open. */
const NO_FD = 2 ** 31 - 1

let refused: boolean | undefined

export function syncsAreRefused(): boolean {
  refused ??= permission() !== undefined && refusesSync()
  return refused
}

export function nodeShortcomings(): HostShortcomings {
  const worker = permission()?.has('worker') === false ? 'Node\'s permission model does not allow it; --allow-worker does' : undefined
  if (!syncsAreRefused()) return { worker }
  const model = 'Node\'s permission model refuses fsync, whatever is granted'
  return {
    worker,
    disk: `${model}. Use durability 'os', or run without --permission`,
    store: constants.O_SYNC === undefined ? `${model}, and this platform has no O_SYNC. Run without --permission` : undefined,
  }
}

/** The model refuses before it looks at the descriptor. */
function refusesSync(): boolean {
  try {
    fsyncSync(NO_FD)
  } catch (error) {
    return errorCode(error) === 'ERR_ACCESS_DENIED'
  }
  return false
}

/** The types of Node 20 do not declare it. */
function permission(): Permission {
  return (process as { permission?: Permission }).permission
}

/**
 * A lock file, for platforms without names in the kernel: the file `LOCK`, created exclusively, names its process.
 *
 * Invariants
 * 1. The file of a living process is never taken away; that of a process that is gone is broken by the next one.
 * 2. It is broken by renaming it aside and looking at what was renamed, so of two breakers only one succeeds.
 *
 * Weaker than the kernel's locks: a pid may have come to mean another process, and a file left on a network file system
 * by another machine cannot be judged. In both cases the lock is refused and the message names the file to delete.
 */
import { linkSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../file-error.ts'
import type { HostLock } from '../host.ts'
import { lockedError } from '../locked-error.ts'
import { NOTE_NAME, holderOf, isOwnProcess, mayBeAlive, newNote, readNote } from './lock-note.ts'

/** A file without a readable note this old is not one being written. */
const UNREADABLE_AFTER_MS = 10_000

export async function lockFile(directory: string): Promise<HostLock> {
  const path = join(directory, NOTE_NAME)
  const note = newNote()
  for (let attempt = 0; attempt < 25; attempt++) {
    try {
      writeFileSync(path, JSON.stringify(note) + '\n', { flag: 'wx' })
      return new FileLock(path, note.token)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const holder = readNote(path)
    if (holder !== undefined && mayBeAlive(holder)) {
      const hint = isOwnProcess(holder) ? '' : `If that process has nothing to do with it any more, delete ${path}`
      throw lockedError(directory, holderOf(holder), isOwnProcess(holder), hint)
    }
    if (holder !== undefined || ageMs(path) > UNREADABLE_AFTER_MS) breakStale(path, holder?.token ?? '', note.token)
    else await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw lockedError(directory, undefined, false, `If no process is using it, delete ${path}`)
}

class FileLock implements HostLock {
  readonly #path: string
  readonly #token: string

  constructor(path: string, token: string) {
    this.#path = path
    this.#token = token
  }

  async release(): Promise<void> {
    if (readNote(this.#path)?.token === this.#token) unlinkSync(this.#path)
  }
}

/** Take the file away if it is still the one judged stale. */
function breakStale(path: string, staleToken: string, ownToken: string): void {
  const aside = `${path}-${ownToken}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  try {
    // Another breaker was faster and this is the new holder's: put it back.
    if ((readNote(aside)?.token ?? '') !== staleToken) linkSync(aside, path)
  } finally {
    unlinkSync(aside)
  }
}

function ageMs(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? 0 : Date.now() - stat.mtimeMs
}

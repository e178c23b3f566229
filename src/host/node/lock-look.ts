/**
 * Tells whether the writer's lock of a directory is held, without taking it or writing anything.
 *
 * A reader harms no writer, so a doubtful claim counts as free: one copied with a backup or left by another machine must not lock a
 * read-only file system for ever. A live holder is recognised by its socket, the process table, or its heartbeat.
 */
import { join } from 'node:path'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DirectoryReference } from '../host.ts'
import { lockedError } from '../locked-error.ts'
import { claimName, claimsIn } from './lock-claims.ts'
import { probe } from './lock-endpoint.ts'
import { holderOf, isOwn, readNote, signOfLife, stateOf } from './lock-note.ts'
import type { LockNote } from './lock-note.ts'
import { oldHolder } from './lock-of-version-0.ts'
import { mayBeRemote } from './remote-file-systems.ts'

/** Heartbeats may be late by this factor. */
const PATIENCE = 2.5
const LOOK_MS = 100

/** Throws LOCKED as taking the lock would. */
export async function checkUnlocked({ path, root: found, device, inode }: DirectoryReference): Promise<void> {
  const root = found === '' ? path : found
  const old = oldHolder(root, path, device, inode)
  if (old !== undefined && (!old.isDoubtful || old.holder?.host === hostname())) {
    throw lockedError(path, old.holder, old.holder?.pid === process.pid, old.isDoubtful ? `If that process has nothing to do with it any more, delete ${join(path, 'LOCK')}` : '')
  }
  for (const number of claimsIn(root)) {
    const claim = join(root, claimName(number))
    const note = readNote(claim)
    // It may have been released meanwhile.
    if (note === undefined || !await lives(root, claim, note) || readNote(claim)?.token !== note.token) continue
    throw lockedError(path, holderOf(note), isOwn(note))
  }
}

async function lives(root: string, claim: string, note: LockNote): Promise<boolean> {
  const { endpoint, beatMs } = note
  let state = endpoint === undefined ? 'unknown' : await probe(root, endpoint, stateOf(note, false) !== 'unknown')
  if (state === 'unknown') state = stateOf(note, !mayBeRemote(root) && beatMs === 0)
  if (state !== 'unknown' || beatMs === 0) return state === 'running'
  const before = signOfLife(claim)
  for (let waitedMs = 0; waitedMs < PATIENCE * beatMs; waitedMs += LOOK_MS) {
    await sleep(LOOK_MS)
    if (signOfLife(claim) !== before) return true
  }
  return false
}

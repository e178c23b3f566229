/**
 * Claims on a directory: files `LOCK-<number>`. The claim of a live holder is the lock.
 *
 * A claim is made under a free number, atomically where the file system has hard links. A dead holder's claim is never reused: the
 * next holder makes a claim with a larger number before removing it, so a claim just granted cannot be taken away.
 */
import { linkSync, openSync, readdirSync, closeSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../file-error.ts'
import type { LockNote } from './lock-note.ts'

const NAME = /^LOCK-(\d+)$/
const SOCKET = /^LOCK-[0-9a-f]+\.sock$/

export function claimName(number: number): string {
  return `LOCK-${String(number).padStart(8, '0')}`
}

/** Ascending. */
export function claimsIn(root: string): number[] {
  return readdirSync(root).flatMap(name => NAME.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b)
}

export function socketsIn(root: string): string[] {
  return readdirSync(root).filter(name => SOCKET.test(name))
}

/** The claim's open descriptor; undefined: the number is taken. */
export function makeClaim(root: string, number: number, note: LockNote): number | undefined {
  const path = join(root, claimName(number))
  const text = `${JSON.stringify(note)}\n`
  const temporary = join(root, `tmp-lock-${note.token}`)
  try {
    writeFileSync(temporary, text, { flag: 'wx' })
    linkSync(temporary, path)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    // No hard links: for a moment the claim has no note.
    return createClaim(path, text)
  } finally {
    removeQuietly(temporary)
  }
  // Opened last: some file systems rename an open file instead of removing it.
  return openSync(path, 'r+')
}

function createClaim(path: string, text: string): number | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, 'wx+')
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    throw error
  }
  try {
    writeFileSync(descriptor, text)
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    removeQuietly(path)
    throw error
  }
}

export function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // A leftover claim shows that its holder is dead.
  }
}

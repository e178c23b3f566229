/**
 * The claims on a directory: files `LOCK-<number>`, of which the one whose holder lives is the lock.
 *
 * A claim is made under a number that is free, whole or not at all where the file system has hard links. A claim of a holder that
 * has ended is never given to anybody: the next one makes a claim with a larger number, and only then removes it. So nobody can take
 * away what another has just been given.
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

/** Their numbers, ascending. */
export function claimsIn(root: string): number[] {
  return readdirSync(root).flatMap(name => NAME.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b)
}

export function socketsIn(root: string): string[] {
  return readdirSync(root).filter(name => SOCKET.test(name))
}

/** Make a claim; its open descriptor, or undefined when the number is taken. */
export function makeClaim(root: string, number: number, note: LockNote): number | undefined {
  const path = join(root, claimName(number))
  const text = `${JSON.stringify(note)}\n`
  const temporary = join(root, `tmp-lock-${note.token}`)
  try {
    writeFileSync(temporary, text, { flag: 'wx' })
    linkSync(temporary, path)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    // No hard links here: for a moment there is a claim without a note.
    return createClaim(path, text)
  } finally {
    removeQuietly(temporary)
  }
  // Only now: some file systems keep an open file that is removed under another name.
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
    // What is left says by itself that its holder has ended.
  }
}

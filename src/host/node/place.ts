/**
 * An open directory, for later calls through its path.
 *
 * The directory behind a path may be renamed, or removed and replaced. So calls go through the open descriptor in /proc/self/fd.
 * Where that is unavailable (other platforms, Deno, Node's permission model), device and inode at the path are compared before a
 * file is made or removed; the open descriptor keeps the inode's number from being reused.
 *
 * Errors name the path the user knows.
 */
import { fstatSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { directoryLost } from '../fenced-error.ts'
import { errorCode } from '../file-error.ts'
import type { DirectoryReference } from '../host.ts'

export class Place {
  readonly #reference: DirectoryReference

  /** Throws FENCED when the descriptor now means another directory. */
  constructor(reference: DirectoryReference) {
    this.#reference = reference
    if (reference.root !== '' && !isSame(reference.root, reference)) throw directoryLost(reference.path, 'was closed')
  }

  /** Path for a system call. */
  at(path: string): string {
    const { path: directory, root } = this.#reference
    if (root === '') return path
    if (path === directory) return root
    return path.startsWith(directory + sep) ? root + path.slice(directory.length) : path
  }

  /** Before a file is made or removed. Throws FENCED. */
  check(): void {
    const { path, root } = this.#reference
    if (root === '' && !isSame(path, this.#reference)) throw directoryLost(path, this.#isRemoved ? 'was removed' : 'was renamed, removed or replaced')
  }

  /** The error with the user's path. */
  told(error: unknown): unknown {
    const { path, root } = this.#reference
    if (!(error instanceof Error) || root === '') return error
    if (errorCode(error) === 'ENOENT' && this.#isRemoved) return directoryLost(path, 'was removed', error)
    const told = error as NodeJS.ErrnoException & { dest?: string }
    told.message = told.message.replaceAll(root, path)
    if (told.path !== undefined) told.path = told.path.replace(root, path)
    if (told.dest !== undefined) told.dest = told.dest.replace(root, path)
    return told
  }

  get #isRemoved(): boolean { return isRemoved(this.#reference) }
}

/** A removed directory that is still open has no links. */
export function isRemoved({ descriptor }: Pick<DirectoryReference, 'descriptor'>): boolean {
  try {
    return descriptor >= 0 && fstatSync(descriptor).nlink === 0
  } catch {
    return false
  }
}

export function isSame(path: string, { device, inode }: Pick<DirectoryReference, 'device' | 'inode'>): boolean {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found !== undefined && String(found.dev) === device && String(found.ino) === inode
  } catch {
    return false
  }
}

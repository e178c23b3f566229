/**
 * A directory that was opened, for the calls that go through its path afterwards.
 *
 * A path is only a name: the directory behind it may be renamed, or removed and another one made in its place. So calls go by way of
 * the open descriptor, in /proc/self/fd, which is the directory itself. Where that is not to be had (other platforms, Deno, the
 * permission model of Node), device and inode of what stands at the path are compared before a file is made or removed; the open
 * descriptor sees to it that the inode's number is not given to another directory meanwhile.
 *
 * Errors name the path that the user knows.
 */
import { fstatSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { directoryLost } from '../fenced-error.ts'
import { errorCode } from '../file-error.ts'
import type { DirectoryReference } from '../host.ts'

export class Place {
  readonly #reference: DirectoryReference

  /** Throws FENCED when the descriptor has come to mean another directory. */
  constructor(reference: DirectoryReference) {
    this.#reference = reference
    if (reference.root !== '' && !isSame(reference.root, reference)) throw directoryLost(reference.path, 'was closed')
  }

  /** The path for a system call. */
  at(path: string): string {
    const { path: directory, root } = this.#reference
    if (root === '') return path
    if (path === directory) return root
    return path.startsWith(directory + sep) ? root + path.slice(directory.length) : path
  }

  /** Before a file is made or removed in it. Throws FENCED. */
  check(): void {
    const { path, root } = this.#reference
    if (root === '' && !isSame(path, this.#reference)) throw directoryLost(path, this.#isRemoved ? 'was removed' : 'was renamed, removed or replaced')
  }

  /** What is told of an error. */
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

/** A removed directory that is still open has no name left. */
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

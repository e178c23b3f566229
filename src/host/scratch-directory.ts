/**
 * A directory for scratch files, which must not outlive their process.
 *
 * Invariants
 * 1. It is removed by `close`, at the end of the process, or, after a crash, by the next process that makes one in the same place.
 * 2. Its name identifies its process: only directories of processes that have certainly ended are removed.
 * 3. It is created with its first file.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Disposer, Host } from './host.ts'

const PREFIX = 'spillway-scratch-'
/** Counts this thread's directories, for unique names. */
let directories = 0

export class ScratchDirectory {
  /** Its path, whether or not it exists yet. */
  readonly place: string
  readonly #host: Host
  #isMade = false
  #files = 0
  #forgetExit: Disposer | undefined
  #closed = false

  /** Removes the leftovers of crashed processes in `parent`, which need not exist. */
  constructor(host: Host, parent: string) {
    this.#host = host
    this.place = host.join(host.resolve(parent), `${PREFIX}${host.process.name}${(directories++).toString(16)}`)
    removeLeftovers(host, parent)
  }

  /** Undefined until the first file. */
  get path(): string | undefined { return this.#isMade ? this.place : undefined }

  /** Create it, with its parents, if it does not exist. */
  make(): void {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the scratch directory is closed')
    if (this.#isMade) return
    this.#host.files.makeDirectory(this.place)
    this.#forgetExit = this.#host.process.onExit(() => { this.#host.removeTree(this.place) })
    this.#isMade = true
  }

  /** The path of a new file in it. */
  newFile(name: string): string {
    this.make()
    return this.#host.join(this.place, `${name}-${this.#files++}`)
  }

  /** Remove it with its content; fine to call twice. Close the files first. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#isMade) this.#host.removeTree(this.place)
    this.#forgetExit?.()
  }
}

/** Remove the leftovers of ended processes in a directory; returns their number. */
export function removeLeftovers(host: Host, parent: string): number {
  let names: string[]
  try {
    names = host.files.exists(parent) ? host.files.list(parent) : []
  } catch {
    // Errors of the directory show when it is used.
    return 0
  }
  let removed = 0
  for (const name of names) {
    if (!name.startsWith(PREFIX) || host.process.isRunning(name.slice(PREFIX.length))) continue
    try {
      host.removeTree(host.join(parent, name))
      removed++
    } catch {
      // Another process is removing it too, or this one lacks permission.
    }
  }
  return removed
}

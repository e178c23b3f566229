/**
 * A directory for scratch files, which must not outlive their process.
 *
 * 1. It is removed by `close`, at the end of the process, or, after a crash, by the next process that makes one in the same place.
 * 2. Its name says whose it is: only directories of processes that have surely ended are removed.
 * 3. Nothing is made before it is needed: who never spills leaves no trace.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Disposer, Host } from './host.ts'

const PREFIX = 'spillway-scratch-'
/** Directories of this thread so far: with its name, a name that nobody else has. */
let directories = 0

export class ScratchDirectory {
  /** Where it is, or will be once there is something in it. */
  readonly place: string
  readonly #host: Host
  #isMade = false
  #files = 0
  #forgetExit: Disposer | undefined
  #closed = false

  /** Removes what processes that crashed have left in `parent`, which need not be there. */
  constructor(host: Host, parent: string) {
    this.#host = host
    this.place = host.join(host.resolve(parent), `${PREFIX}${host.process.name}${(directories++).toString(16)}`)
    removeLeftovers(host, parent)
  }

  /** Undefined until the first file. */
  get path(): string | undefined { return this.#isMade ? this.place : undefined }

  /** Make it, with its parents, if it is not there. */
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

  /** Remove it with all that is in it; fine to call twice. Close the files first. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#isMade) this.#host.removeTree(this.place)
    this.#forgetExit?.()
  }
}

/** Remove what processes that have ended left in a directory; returns how many of theirs there were. */
export function removeLeftovers(host: Host, parent: string): number {
  let names: string[]
  try {
    names = host.files.exists(parent) ? host.files.list(parent) : []
  } catch {
    // What is wrong with it, whoever needs it is told then.
    return 0
  }
  let removed = 0
  for (const name of names) {
    if (!name.startsWith(PREFIX) || host.process.isRunning(name.slice(PREFIX.length))) continue
    try {
      host.removeTree(host.join(parent, name))
      removed++
    } catch {
      // Another process is removing it too, or may and we may not.
    }
  }
  return removed
}

/**
 * A directory for scratch files, which must not outlive their process.
 *
 * 1. It is removed by `close`, at the end of the process, or, after a crash, by the next process that makes one in the same place.
 * 2. Its name says whose it is: only directories of processes that have surely ended are removed.
 * 3. Nothing is made before it is needed: who never spills leaves no trace.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Disposer, Host } from '../host/host.ts'

const PREFIX = 'spillway-scratch-'

export class ScratchDirectory {
  readonly #host: Host
  readonly #parent: string
  #path: string | undefined
  #files = 0
  #forgetExit: Disposer | undefined
  #closed = false

  /** Removes what processes that crashed have left in `parent`, which need not be there. Throws what the file system throws. */
  constructor(host: Host, parent: string) {
    this.#host = host
    this.#parent = parent
    removeLeftovers(host, parent)
  }

  /** Undefined until the first file. */
  get path(): string | undefined { return this.#path }

  /** The path of a new file in the directory, which is made with its parents if it is not there. */
  newFile(name: string): string {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the scratch directory is closed')
    if (this.#path === undefined) {
      const path = makeFree(this.#host, this.#parent)
      this.#forgetExit = this.#host.process.onExit(() => { this.#host.removeTree(path) })
      this.#path = path
    }
    return this.#host.join(this.#path, `${name}-${this.#files++}`)
  }

  /** Remove it with all that is in it; fine to call twice. Close the files first. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#path !== undefined) this.#host.removeTree(this.#path)
    this.#forgetExit?.()
  }
}

/** Made at once, so that nobody of this thread finds it free too. */
function makeFree(host: Host, parent: string): string {
  host.files.makeDirectory(parent)
  for (let number = 0; ; number++) {
    const path = host.join(parent, `${PREFIX}${host.process.name}${number.toString(16)}`)
    if (host.files.exists(path)) continue
    host.files.makeDirectory(path)
    return path
  }
}

/** Remove what processes that have ended left in a directory; returns how many of theirs there were. */
export function removeLeftovers(host: Host, parent: string): number {
  if (!host.files.exists(parent)) return 0
  let removed = 0
  for (const name of host.files.list(parent)) {
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

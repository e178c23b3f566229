/**
 * Removes obsolete files. One that cannot be removed costs only disk space.
 *
 * Invariants
 * 1. Every failure is counted and reported on `spillway:error`, once per file.
 * 2. Failed removals are retried at the next removals, a few files each time; the rest when the store is opened again, like the
 *    leftovers of a crash.
 *
 * Account: none; the paths of at most 256 files, further ones wait for the next opening.
 */
import type { HostFiles } from '../../host/host.ts'
import { emitError } from '../api/events.ts'
import type { RemovalReport } from '../api/reports.ts'
import { ioError } from '../api/io-errors.ts'

const MAX_LEFT = 256
/** Retries per removal: more than one, so that the list shrinks. */
const RETRIES = 4

export class ObsoleteFiles {
  readonly #files: HostFiles
  readonly #directory: string
  /** Oldest first. */
  readonly #left = new Set<string>()
  #failed = 0

  constructor(files: HostFiles, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** Remove it in this call. Not retried: the name may be used again. */
  now(path: string): void {
    this.#retry()
    try {
      this.#files.remove(path)
    } catch (error) {
      this.#tell(path, error)
    }
  }

  /** Remove it off the main thread. The name must not be used again. */
  soon(path: string): void {
    this.#retry()
    this.#files.removeSoon(path, error => {
      this.#tell(path, error)
      this.#keep(path)
    })
  }

  report(): RemovalReport { return { failed: this.#failed, left: this.#left.size } }

  #retry(): void {
    if (this.#left.size === 0) return
    let retries = 0
    // A copy: one that fails at once is added again.
    for (const path of [...this.#left]) {
      if (retries++ === RETRIES) return
      this.#left.delete(path)
      this.#files.removeSoon(path, () => { this.#keep(path) })
    }
  }

  #keep(path: string): void {
    if (this.#left.size < MAX_LEFT) this.#left.add(path)
  }

  #tell(path: string, cause: unknown): void {
    this.#failed++
    emitError({ directory: this.#directory, error: ioError(cause, `removing ${path}, which nothing needs any more`), readOnly: false })
  }
}

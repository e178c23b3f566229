/**
 * Removes files that nothing needs any more. One that cannot be removed costs disk space, and nothing else.
 *
 * 1. A failure is never silent: it is counted and told on `spillway:error`, once for each file.
 * 2. What failed is tried again at the next removals, a few files each time; what is left when the store is closed is removed when
 *    it is opened next, as the leftovers of a crash are.
 *
 * Account: none; the paths of at most 256 files, beyond which they wait for the next opening.
 */
import type { HostFiles } from '../../host/host.ts'
import { emitError } from '../api/events.ts'
import type { RemovalReport } from '../api/reports.ts'
import { ioError } from '../api/io-errors.ts'

const MAX_LEFT = 256
/** Tried again at each removal: more than one, so that their number comes down. */
const RETRIES = 4

export class ObsoleteFiles {
  readonly #files: HostFiles
  readonly #directory: string
  /** The one that has waited longest first. */
  readonly #left = new Set<string>()
  #failed = 0

  constructor(files: HostFiles, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** Remove it in this call. It is not tried again: its name may come to be another's. */
  now(path: string): void {
    this.#retry()
    try {
      this.#files.remove(path)
    } catch (error) {
      this.#tell(path, error)
    }
  }

  /** Remove it beside the thread. Its name must not be used again. */
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
    // A copy: one that fails at once is in the set again.
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

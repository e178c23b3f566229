/** Makes a file durable off the main thread, or on it when a caller cannot wait for the event loop. */
import { dirname, resolve } from 'node:path'
import type { JobWait, Syncable } from '../host.ts'

/** Waits ended by force that the event loop has not reported yet. */
let forced = 0

/**
 * Errors of syncs that came after their wait was ended by force, by directory. Where the system reports such an error once per file
 * and not per descriptor (`files.ts`), the sync that ended the wait may have succeeded wrongly, and a table counts as durable that
 * may not be.
 */
const late = new Map<string, Error>()

/** The late error for a file of that directory; returned once. */
export function lateSyncError(directory: string): Error | undefined {
  const path = resolve(directory)
  const error = late.get(path)
  late.delete(path)
  return error
}

/** Undefined where the event loop gets no turn: pending syncs would pile up. */
export function beginSync(file: Syncable): JobWait | undefined {
  return forced > 0 ? undefined : new SyncWait(file)
}

export class SyncWait implements JobWait {
  isOver = false
  onOver: () => void = () => {}
  readonly #file: Syncable
  #error: Error | undefined

  constructor(file: Syncable) {
    this.#file = file
    file.sync().then(() => { this.#over(undefined) }, (error: Error) => { this.#over(error) })
  }

  /** The asynchronous sync goes on; the first to finish ends the wait. */
  end(): void {
    if (this.isOver) return
    try {
      this.#file.syncSync()
    } catch (error) {
      this.#error = error as Error
    }
    this.isOver = true
    forced++
  }

  check(): void {
    if (this.#error !== undefined) throw this.#error
  }

  #over(error: Error | undefined): void {
    if (this.isOver) {
      forced--
      if (error !== undefined && this.#error === undefined) late.set(resolve(dirname(this.#file.path)), error)
      return
    }
    this.#error = error
    this.isOver = true
    this.onOver()
  }
}

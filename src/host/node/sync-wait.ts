/** A file made durable beside the thread; or, when somebody cannot wait for the event loop, on it. */
import { dirname, resolve } from 'node:path'
import type { JobWait, Syncable } from '../host.ts'

/** Waits that were ended by force, of which the event loop has not heard yet. */
let forced = 0

/**
 * Errors of syncs that came after their wait was ended by force, by directory. Where the system tells such an error once for a file,
 * not once for each descriptor (`files.ts`), the sync that ended the wait may have succeeded because this one had been told, and a table
 * counts as durable that may not be.
 */
const late = new Map<string, Error>()

/** The error that came late for a file of that directory, once. */
export function lateSyncError(directory: string): Error | undefined {
  const path = resolve(directory)
  const error = late.get(path)
  late.delete(path)
  return error
}

/** Undefined where the event loop gets no turn: what is begun there piles up. */
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

  /** What was begun goes on; this one is over when it returns, whichever is first. */
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

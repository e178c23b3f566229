/**
 * Table files that are open for reading: a bounded number of descriptors, however many tables there are. A file is opened when
 * it is first read, and closed when others need its place.
 *
 * Invariants
 * 1. At most `limit` descriptors are open; when the system refuses one (EMFILE, ENFILE), the limit falls to what it gave.
 * 2. A file that was closed by its owner is never opened again: its table is gone.
 *
 * Which one goes is decided by a clock hand: one that was read since the hand last passed gets another turn. A read of an open
 * file costs a check and a flag more than one of the file itself.
 */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFile, HostFiles } from '../../host/host.ts'
import { fileError } from '../../host/file-error.ts'

/** Well below what systems commonly allow a process (1024), with room for several stores' logs and whatever the program opens. */
export const MAX_OPEN_TABLES = 512
const MIN_OPEN = 8

const shared = new WeakMap<HostFiles, TableFileCache>()

export class TableFileCache {
  readonly files: HostFiles
  #limit: number
  /** Places of the clock: files that are open. */
  readonly #open: TableFile[] = []
  #hand = 0

  /** That of all stores over these files. */
  static of(files: HostFiles): TableFileCache {
    let found = shared.get(files)
    if (found === undefined) {
      found = new TableFileCache(files, MAX_OPEN_TABLES)
      shared.set(files, found)
    }
    return found
  }

  constructor(files: HostFiles, limit: number) {
    this.files = files
    this.#limit = limit
  }

  get openCount(): number { return this.#open.length }

  /** @internal */
  enter(file: TableFile): HostFile {
    while (this.#open.length >= this.#limit) this.#closeOne()
    for (;;) {
      try {
        const opened = file.files.openRead(file.path)
        this.#open.push(file)
        return opened
      } catch (cause) {
        const { code } = cause as { code?: unknown }
        if (code === 'ENOENT') file.missing()
        if (code === 'ENOENT') throw new CorruptionError(file.path, 0, 'the table is missing, though the manifest names it', { cause })
        if ((code !== 'EMFILE' && code !== 'ENFILE') || this.#open.length === 0) throw cause
        this.#limit = Math.max(MIN_OPEN, this.#open.length)
        this.#closeOne()
      }
    }
  }

  /** @internal */
  leave(file: TableFile): void {
    const at = this.#open.indexOf(file)
    if (at >= 0) this.#removeAt(at)
  }

  #closeOne(): void {
    for (;;) {
      if (this.#hand >= this.#open.length) this.#hand = 0
      const file = this.#open[this.#hand]!
      if (file.wasRead) {
        file.wasRead = false
        this.#hand++
        continue
      }
      this.#removeAt(this.#hand)
      file.release()
      return
    }
  }

  /** The last one takes its place: order is of no account to the clock. */
  #removeAt(at: number): void {
    const last = this.#open.pop()!
    if (at < this.#open.length) this.#open[at] = last
  }
}

export class TableFile implements HostFile {
  /** Read since the clock's hand passed. */
  wasRead = false
  readonly #pool: TableFileCache
  readonly #number: number
  readonly #pathOf: (number: number) => string
  /** Those of its store. */
  readonly files: HostFiles
  /** See `TableSet`. */
  readonly missing: () => void
  #file: HostFile | undefined
  #isClosed = false

  constructor(pool: TableFileCache, number: number, pathOf: (number: number) => string, files: HostFiles = pool.files, missing: () => void = () => {}) {
    this.#pool = pool
    this.#number = number
    this.#pathOf = pathOf
    this.files = files
    this.missing = missing
  }

  /** Put together at each call: it is needed only for opening and for errors. */
  get path(): string { return this.#pathOf(this.#number) }

  size(): number { return this.#opened().size() }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    this.wasRead = true
    return (this.#file ?? this.#opened()).readSync(target, offset, length, position)
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.wasRead = true
    return this.#opened().read(target, offset, length, position)
  }

  writeSync(): void { throw this.#readOnly('write') }
  syncSync(): void { throw this.#readOnly('fdatasync') }
  sync(): Promise<void> { return Promise.reject(this.#readOnly('fdatasync')) }
  truncate(): void { throw this.#readOnly('ftruncate') }

  /** For good. */
  close(): void {
    this.#isClosed = true
    if (this.#file === undefined) return
    this.#pool.leave(this)
    this.release()
  }

  /** @internal Close the descriptor, until the next read. */
  release(): void {
    this.#file?.close()
    this.#file = undefined
  }

  #opened(): HostFile {
    if (this.#file !== undefined) return this.#file
    if (this.#isClosed) throw fileError('EBADF', 'open', this.path, 'the table was dropped')
    return this.#file = this.#pool.enter(this)
  }

  #readOnly(call: string): Error {
    return fileError('EBADF', call, this.path, 'a table is only read')
  }
}

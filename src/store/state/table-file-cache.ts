/**
 * Open table files, with a bounded number of descriptors for any number of tables. A file is opened by its first read and closed
 * when others need the descriptor.
 *
 * Invariants
 * 1. At most `limit` descriptors are open. When the system refuses one (EMFILE, ENFILE), the limit falls to the number open.
 * 2. A file closed by its owner is never opened again.
 *
 * Eviction by a clock hand: a file read since the hand last passed gets another round. A read of an open file costs a check and a
 * flag more than a plain read.
 */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFile, HostFiles } from '../../host/host.ts'
import { fileError } from '../../host/file-error.ts'

/** Well below the usual limit of a process (1024), with room for logs of several stores and the program's own files. */
export const MAX_OPEN_TABLES = 512
const MIN_OPEN = 8

const shared = new WeakMap<HostFiles, TableFileCache>()

export class TableFileCache {
  readonly files: HostFiles
  #limit: number
  /** The clock: open files. */
  readonly #open: TableFile[] = []
  #hand = 0

  /** The cache of all stores over these files. */
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

  /** The last one takes its slot: the order does not matter. */
  #removeAt(at: number): void {
    const last = this.#open.pop()!
    if (at < this.#open.length) this.#open[at] = last
  }
}

export class TableFile implements HostFile {
  /** Read since the clock hand last passed. */
  wasRead = false
  readonly #pool: TableFileCache
  readonly #number: number
  readonly #pathOf: (number: number) => string
  /** Files of its store. */
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

  /** Computed on demand, for opening and errors only. */
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

  /** Close it for good. */
  close(): void {
    this.#isClosed = true
    if (this.#file === undefined) return
    this.#pool.leave(this)
    this.release()
  }

  /** @internal Close the descriptor until the next read. */
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

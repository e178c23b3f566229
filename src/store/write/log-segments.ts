/**
 * The log segments of an open store: the one being written and the older ones that a memtable still needs.
 *
 * Invariants
 * 1. A segment belongs to one memtable (recovery may give a memtable several): it goes when that is in a table.
 * 2. Segments become durable in their order, after the large values they refer to, and their directory entries before their
 *    content counts as durable.
 * 3. A large value that is being made durable beside the thread is made so at once by the same open file, which hears of what the
 *    other sync was told already (`HostFiles.openWrite`). One that was opened now would not.
 */
import type { HostFile } from '../../host/host.ts'
import { LogWriter } from '../../wal/log-writer.ts'
import type { StoreState } from '../state/store-state.ts'
import { ioError } from '../api/io-errors.ts'

export class LogSegments {
  readonly #core: StoreState
  #current!: LogWriter
  #older: LogWriter[] = []
  #directorySynced = false
  /** A large value that is being made durable beside the thread. */
  #beside: { readonly number: number, readonly file: HostFile } | undefined
  /** Bytes of the segments of earlier lives that recovery kept. */
  #recovered = new Map<number, number>()

  constructor(core: StoreState) {
    this.#core = core
  }

  get current(): LogWriter { return this.#current }

  /** Begin a new segment; what the last one had not written yet goes out first. Returns its number. */
  begin(): number {
    const core = this.#core
    core.ownership.check()
    const older = this.#current as LogWriter | undefined
    if (older !== undefined) this.writeOut()
    else this.#recovered = new Map(core.view.version.earlier?.logs)
    const number = core.files.takeNumber()
    const path = core.files.logPath(number)
    try {
      const file = core.files.io.create(path)
      try {
        this.#current = new LogWriter(file, number, core.engine.logBuffer.bytes, core.engine.kernels, core.host.bootId(), core.lastSeq + 1)
      } catch (error) {
        file.close()
        core.files.discard(path)
        throw error
      }
    } catch (error) {
      throw ioError(error, 'creating a log segment')
    }
    core.files.logs.push(number)
    this.#directorySynced = false
    if (older !== undefined) this.#older.push(older)
    return number
  }

  /** Hand what was committed without writing to the operating system. */
  writeOut(): void {
    const before = this.#current.writtenBytes
    try {
      this.#current.writeOut()
    } catch (error) {
      throw ioError(error, 'writing the log')
    }
    this.#core.counters.logBytes += this.#current.writtenBytes - before
  }

  /** Number and bytes of every segment that is still needed, ascending: so much of it is the history, and nothing behind it is. */
  written(): [number, number][] {
    const bytes = new Map(this.#recovered)
    for (const log of [...this.#older, this.#current]) bytes.set(log.fileNumber, log.writtenBytes)
    return this.#core.files.logs.filter(number => number >= this.#core.view.version.logFloor).map(number => [number, bytes.get(number)!])
  }

  /** Whether what a failed write left behind could not be cut off. */
  get hasTail(): boolean { return this.#current.hasTail || this.#older.some(log => log.hasTail) }

  /** The segments below `floor` are no longer needed. */
  drop(floor: number): void {
    const core = this.#core
    for (const number of this.#recovered.keys()) if (number < floor) this.#recovered.delete(number)
    this.#older = this.#older.filter(log => {
      if (log.fileNumber >= floor) return true
      log.close()
      return false
    })
    for (const number of core.files.logs) if (number < floor) core.files.discardSoon(core.files.logPath(number))
    core.files.logs = core.files.logs.filter(number => number >= floor)
  }

  /** A sync of the current segment is all that is missing. */
  get isNearlySynced(): boolean {
    return this.#directorySynced && this.#core.files.unsyncedValues.size === 0 && this.#older.every(log => log.isSynced)
  }

  /** Make durable all that was written before this call. */
  async sync(): Promise<void> {
    const { unsyncedValues } = this.#core.files
    for (const log of [...this.#older, this.#current]) {
      // A sync covers what is written up to its beginning, so no large value may be left when it begins.
      while (unsyncedValues.size > 0) {
        const [number] = unsyncedValues
        const file = this.#openValue(number!)
        if (file === undefined) continue
        const beside = this.#beside = { number: number!, file }
        try {
          await file.sync()
        } finally {
          if (this.#beside === beside) this.#beside = undefined
          file.close()
        }
        unsyncedValues.delete(number!)
      }
      this.#syncDirectory()
      // A flush may have closed and removed it while another one was being synced: its content is in a table then.
      if (!log.isSynced && (log === this.#current || this.#older.includes(log))) await log.sync()
    }
  }

  syncNow(): void {
    const { unsyncedValues } = this.#core.files
    for (const number of unsyncedValues) {
      const beside = this.#beside?.number === number ? this.#beside.file : undefined
      const file = beside ?? this.#openValue(number)
      if (file === undefined) continue
      try {
        file.syncSync()
      } finally {
        if (file !== beside) file.close()
      }
      unsyncedValues.delete(number)
    }
    this.#syncDirectory()
    for (const log of this.#older) if (!log.isSynced) log.syncSync()
    if (!this.#current.isSynced) this.#current.syncSync()
  }

  /** A segment that holds nothing is not left behind. */
  close(): void {
    const core = this.#core
    const current = this.#current as LogWriter | undefined
    // The first one could not be begun.
    if (current === undefined) return
    current.close()
    if (current.isEmpty) {
      core.files.discard(core.files.logPath(current.fileNumber))
      core.files.logs = core.files.logs.filter(number => number !== current.fileNumber)
    }
    for (const log of this.#older) log.close()
  }

  /** The file of a large value, to make it durable; undefined when it was removed meanwhile and nobody needs it. */
  #openValue(number: number): HostFile | undefined {
    const core = this.#core
    try {
      const file = core.files.io.openWrite(core.files.valuePath(number))
      this.#directorySynced = false
      return file
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
      core.files.unsyncedValues.delete(number)
      return undefined
    }
  }

  #syncDirectory(): void {
    if (this.#directorySynced) return
    this.#core.files.io.syncDirectory(this.#core.files.directory)
    this.#directorySynced = true
  }
}

/**
 * The log segments of an open store: the current one and older ones that a memtable still needs.
 *
 * Invariants
 * 1. A segment belongs to one memtable (after recovery one memtable may have several) and is removed after its flush.
 * 2. Segments become durable in order, after the large values they refer to; their directory entries before their content counts as
 *    durable.
 * 3. A large value whose asynchronous sync is under way is synced through the same open file: it learns of an error already
 *    reported there (`HostFiles.openWrite`); a newly opened file would not.
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
  /** The large value being synced off the main thread. */
  #beside: { readonly number: number, readonly file: HostFile } | undefined
  /** Bytes of the recovered segments of earlier lives. */
  #recovered = new Map<number, number>()

  constructor(core: StoreState) {
    this.#core = core
  }

  get current(): LogWriter { return this.#current }

  /** Begin a new segment, after writing out the last one. Returns its number. */
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
        this.#current = new LogWriter(file, number, core.engine.logBuffer.bytes, core.engine.kernels, core.files.mountId, core.lastSeq + 1)
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

  /** Hand frames committed without a write to the operating system. */
  writeOut(): void {
    const before = this.#current.writtenBytes
    try {
      this.#current.writeOut()
    } catch (error) {
      throw ioError(error, 'writing the log')
    }
    this.#core.counters.logBytes += this.#current.writtenBytes - before
  }

  /** Number and bytes of every segment still needed, ascending: exactly this part is history. */
  written(): [number, number][] {
    const bytes = new Map(this.#recovered)
    for (const log of [...this.#older, this.#current]) bytes.set(log.fileNumber, log.writtenBytes)
    return this.#core.files.logs.filter(number => number >= this.#core.view.version.logFloor).map(number => [number, bytes.get(number)!])
  }

  /** Whether the remains of a failed write could not be truncated. */
  get hasTail(): boolean { return this.#current.hasTail || this.#older.some(log => log.hasTail) }

  /** Segments below `floor` are no longer needed. */
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

  /** Only a sync of the current segment is missing. */
  get isNearlySynced(): boolean {
    return this.#directorySynced && this.#core.files.unsyncedValues.size === 0 && this.#older.every(log => log.isSynced)
  }

  /** Make everything written before this call durable. */
  async sync(): Promise<void> {
    const { unsyncedValues } = this.#core.files
    for (const log of [...this.#older, this.#current]) {
      // A sync covers what was written before it began, so no large value may be left at that point.
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
      // A flush may have closed and removed it during another segment's sync: its content is in a table.
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

  /** Remove an empty segment. */
  close(): void {
    const core = this.#core
    const current = this.#current as LogWriter | undefined
    // The first one could not be started.
    if (current === undefined) return
    current.close()
    if (current.isEmpty) {
      core.files.discard(core.files.logPath(current.fileNumber))
      core.files.logs = core.files.logs.filter(number => number !== current.fileNumber)
    }
    for (const log of this.#older) log.close()
  }

  /** The file of a large value, for its sync; undefined: removed meanwhile. */
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

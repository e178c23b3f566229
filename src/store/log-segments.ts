/**
 * The log segments of an open store: the one being written and the older ones that a memtable still needs.
 *
 * Invariants
 * 1. A segment belongs to one memtable (recovery may give a memtable several): it goes when that is in a table.
 * 2. Segments become durable in their order, and their directory entries before their content counts as durable.
 */
import { LogWriter } from '../wal/log-writer.ts'
import type { Core } from './core.ts'
import { ioError } from './io-error.ts'

export class LogSegments {
  readonly #core: Core
  #current!: LogWriter
  #older: LogWriter[] = []
  #directorySynced = false

  constructor(core: Core) {
    this.#core = core
  }

  get current(): LogWriter { return this.#current }

  /** Begin a new segment; what the last one had not written yet goes out first. Returns its number. */
  begin(): number {
    const core = this.#core
    const older = this.#current as LogWriter | undefined
    if (older !== undefined) this.writeOut()
    const number = core.takeFileNumber()
    const path = core.logPath(number)
    try {
      const file = core.host.files.create(path)
      try {
        this.#current = new LogWriter(file, number, core.engine.logBuffer.bytes, core.kernels, core.host.bootId(), core.lastSeq + 1)
      } catch (error) {
        file.close()
        core.host.files.remove(path)
        throw error
      }
    } catch (error) {
      throw ioError(error, 'creating a log segment')
    }
    core.logs.push(number)
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

  /** The segments below `floor` are no longer needed. */
  drop(floor: number): void {
    const core = this.#core
    this.#older = this.#older.filter(log => {
      if (log.fileNumber >= floor) return true
      log.close()
      return false
    })
    for (const number of core.logs) if (number < floor) core.host.files.remove(core.logPath(number))
    core.logs = core.logs.filter(number => number >= floor)
  }

  async sync(): Promise<void> {
    // A flush may close and remove an older segment while another one is being synced: its content is in a table then.
    for (const log of [...this.#older]) if (!log.isSynced && this.#older.includes(log)) await log.sync()
    this.#syncDirectory()
    const current = this.#current
    if (!current.isSynced) await current.sync()
  }

  syncNow(): void {
    for (const log of this.#older) if (!log.isSynced) log.syncSync()
    this.#syncDirectory()
    if (!this.#current.isSynced) this.#current.syncSync()
  }

  /** A segment that holds nothing is not left behind. */
  close(): void {
    const core = this.#core
    const { current } = this
    current.close()
    if (current.isEmpty) {
      core.host.files.remove(core.logPath(current.fileNumber))
      core.logs = core.logs.filter(number => number !== current.fileNumber)
    }
    for (const log of this.#older) log.close()
  }

  #syncDirectory(): void {
    if (this.#directorySynced) return
    this.#core.host.files.syncDirectory(this.#core.directory)
    this.#directorySynced = true
  }
}

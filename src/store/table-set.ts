/**
 * The open table files, by number. Account: `table metadata`, leased as each reader is opened.
 */
import { CorruptionError } from '../base/errors.ts'
import type { Kernels } from '../base/kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import type { TableRecord } from '../manifest/version.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { TableReader } from '../table/table-reader.ts'

/** JavaScript objects of a reader, its properties and its file handle, measured generously. */
const OBJECT_BYTES = 4096

interface OpenTable {
  reader: TableReader
  lease: Lease
}

export class TableSet {
  readonly #host: Host
  readonly #path: (number: number) => string
  readonly #kernels: Kernels
  readonly #account: Account
  readonly #tables = new Map<number, OpenTable>()
  readonly readers = new Map<number, TableReader>()

  constructor(host: Host, path: (number: number) => string, kernels: Kernels, account: Account) {
    this.#host = host
    this.#path = path
    this.#kernels = kernels
    this.#account = account
  }

  get(number: number): TableReader { return this.readers.get(number)! }

  /** Open a table and check it against what the manifest says of it. Throws CorruptionError. */
  open(record: TableRecord): TableReader {
    const path = this.#path(record.fileNumber)
    let file
    try {
      file = this.#host.files.openRead(path)
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'ENOENT') throw cause
      throw new CorruptionError(path, 0, 'the table is missing, though the manifest names it', { cause })
    }
    try {
      const size = file.size()
      if (size !== record.fileBytes) throw new CorruptionError(path, Math.min(size, record.fileBytes), `the table has ${size} bytes, the manifest says ${record.fileBytes}`)
      const reader = TableReader.open(file, record.fileNumber, this.#kernels)
      if (reader.properties.entries !== record.entries) {
        throw new CorruptionError(path, 0, `the table holds ${reader.properties.entries} entries, the manifest says ${record.entries}`)
      }
      reader.id = record.fileNumber
      const lease = this.#account.lease(reader.residentBytes + OBJECT_BYTES)
      this.#tables.set(record.fileNumber, { reader, lease })
      this.readers.set(record.fileNumber, reader)
      return reader
    } catch (error) {
      file.close()
      throw error
    }
  }

  drop(number: number): void {
    const table = this.#tables.get(number)
    if (table === undefined) return
    this.#tables.delete(number)
    this.readers.delete(number)
    table.reader.file.close()
    table.lease.release()
  }

  close(): void {
    for (const number of [...this.#tables.keys()]) this.drop(number)
  }
}

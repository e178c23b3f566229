/**
 * The open table files, by number. Account: `table metadata`, leased as each reader is opened.
 */
import { CorruptionError } from '../base/errors.ts'
import type { TableRecord } from '../manifest/version.ts'
import type { Lease } from '../memory/budget.ts'
import { TableReader } from '../table/table-reader.ts'
import type { Engine } from './engine.ts'

/** JavaScript objects of a reader, its properties and its file handle, measured generously. */
const OBJECT_BYTES = 4096
/** What a range tombstone takes in the resolved set of its run, besides its keys. The reader counts its own copy itself. */
const RESOLVED_RANGE_BYTES = 200

interface OpenTable {
  reader: TableReader
  lease: Lease
}

export class TableSet {
  readonly #engine: Engine
  readonly #path: (number: number) => string
  readonly #tables = new Map<number, OpenTable>()
  readonly readers = new Map<number, TableReader>()

  constructor(engine: Engine, path: (number: number) => string) {
    this.#engine = engine
    this.#path = path
  }

  get(number: number): TableReader { return this.readers.get(number)! }

  /** Open a table and check it against what the manifest says of it. Throws CorruptionError. */
  open(record: TableRecord): TableReader {
    const path = this.#path(record.fileNumber)
    let file
    try {
      file = this.#engine.host.files.openRead(path)
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'ENOENT') throw cause
      throw new CorruptionError(path, 0, 'the table is missing, though the manifest names it', { cause })
    }
    try {
      const size = file.size()
      if (size !== record.fileBytes) throw new CorruptionError(path, Math.min(size, record.fileBytes), `the table has ${size} bytes, the manifest says ${record.fileBytes}`)
      const reader = TableReader.open(file, record.fileNumber, this.#engine.kernels)
      if (reader.properties.entries !== record.entries) {
        throw new CorruptionError(path, 0, `the table holds ${reader.properties.entries} entries, the manifest says ${record.entries}`)
      }
      reader.id = this.#engine.takeTableId()
      const lease = this.#engine.metadata.lease(reader.residentBytes + OBJECT_BYTES + resolvedBytes(reader))
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

/** The share of a table in the resolved range tombstones of its run. */
function resolvedBytes({ ranges }: TableReader): number {
  let bytes = 0
  for (const { start, end } of ranges) bytes += RESOLVED_RANGE_BYTES + start.length + end.length
  return bytes
}

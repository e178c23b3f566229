/**
 * The open tables, by number. Their files are opened on demand and bounded in number (`table-file-cache.ts`).
 *
 * Account: `table metadata`, through the engine's reserved lease: taken before a reader allocates, together with the table's share
 * of version and tree. So the tables of one flush and one smallest merge always find memory.
 */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFiles } from '../../host/host.ts'
import type { TableRecord } from '../../manifest/version.ts'
import { TableReader } from '../../table/table-reader.ts'
import type { BudgetEngine } from '../engine/budget-engine.ts'
import { TableFile, TableFileCache } from './table-file-cache.ts'

/**
 * Beside the reader: its file, its record in the version, its view and its slots in the tree, and those of the previous version and
 * tree until the new ones count. Measured.
 */
const OBJECT_BYTES = 560
/** A run in version and tree, with its lists of tables. */
const RUN_BYTES = 640

export class TableSet {
  readonly #engine: BudgetEngine
  readonly #pool: TableFileCache
  readonly #files: HostFiles
  readonly #missing: () => void
  readonly #path: (number: number) => string
  readonly readers = new Map<number, TableReader>()
  #runBytes = 0

  /** `missing` is called when a table's file does not exist; it may throw a better reason. */
  constructor(engine: BudgetEngine, files: HostFiles, path: (number: number) => string, missing: () => void) {
    this.#engine = engine
    this.#pool = TableFileCache.of(engine.host.files)
    this.#files = files
    this.#path = path
    this.#missing = missing
  }

  get(number: number): TableReader { return this.readers.get(number)! }

  /** Open a table and check it against its record. `keptBytes`: part of the spare that stays for others. Throws CorruptionError, BUDGET_TOO_SMALL. */
  open(record: TableRecord, keptBytes = 0): TableReader {
    const { tableMemory, kernels } = this.#engine
    const { fileNumber } = record
    const file = new TableFile(this.#pool, fileNumber, this.#path, this.#files, this.#missing)
    let taken = 0
    try {
      const size = file.size()
      if (size !== record.fileBytes) throw new CorruptionError(file.path, Math.min(size, record.fileBytes), `the table has ${size} bytes, the manifest says ${record.fileBytes}`)
      const admit = (residentBytes: number): void => {
        const bytes = OBJECT_BYTES + residentBytes
        tableMemory.take(bytes - taken, keptBytes)
        taken = bytes
      }
      const reader = TableReader.open(file, fileNumber, kernels, { admit, seqOffset: record.seqOffset ?? 0 })
      if (reader.properties.entries !== record.entries) {
        throw new CorruptionError(file.path, 0, `the table holds ${reader.properties.entries} entries, the manifest says ${record.entries}`)
      }
      reader.id = this.#engine.reading.takeTableId()
      this.readers.set(fileNumber, reader)
      return reader
    } catch (error) {
      file.close()
      tableMemory.give(taken)
      throw error
    }
  }

  /** Account for a version of `count` runs. Throws BUDGET_TOO_SMALL. */
  holdRuns(count: number, keptBytes = 0): void {
    const { tableMemory } = this.#engine
    const bytes = count * RUN_BYTES
    if (bytes > this.#runBytes) tableMemory.take(bytes - this.#runBytes, keptBytes)
    else tableMemory.give(this.#runBytes - bytes)
    this.#runBytes = bytes
  }

  drop(number: number): void {
    const reader = this.readers.get(number)
    if (reader === undefined) return
    this.readers.delete(number)
    this.#engine.reading.warmer.drop(reader)
    reader.isOpen = false
    reader.file.close()
    this.#engine.tableMemory.give(OBJECT_BYTES + reader.residentBytes)
  }

  close(): void {
    for (const number of [...this.readers.keys()]) this.drop(number)
    this.holdRuns(0)
  }
}

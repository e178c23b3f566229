/**
 * Checks a store's directory file by file, whatever is damaged, and whether or not it can be opened.
 *
 * Invariants
 * 1. Nothing is changed and no lock is taken.
 * 2. Damage in one file does not stop the check of others and is reported for that file alone.
 * 3. Leftovers of a crash (unnamed tables, an unfinished write at the end of the log) are notes, not damage.
 *
 * The newest manifest says which tables and log segments belong to the store. If it is damaged, an older one lists the tables;
 * every file is still checked by itself, but missing and leftover files cannot be judged.
 *
 * Account: that of its parts, for file names, the manifest, and the resident part of one table.
 */
import { SpillwayError } from '../../base/errors.ts'
import { manifestName, parseName, tableName, valueName } from '../../base/file-names.ts'
import type { FileKind } from '../../base/file-names.ts'
import type { TableRecord, Version } from '../../manifest/version.ts'
import type { Lease } from '../../memory/budget.ts'
import { tableDamage } from '../../table/table-damage.ts'
import { valueFileDamage, verifyValueFile } from '../../table/value-file.ts'
import type { VerifyReport } from '../api/reports.ts'
import { Findings, MAX_PLACES, problemOf } from './findings.ts'
import { checkManifest, checkTable, withFile } from './stored-file.ts'
import type { VerifyParts } from './stored-file.ts'
import { LogVerifier } from './verify-log.ts'

/** A name, and its number in a list and in a set. */
const BYTES_PER_FILE = 192
/** Maximum bytes read of the holder's note. */
const MAX_NOTE_BYTES = 4096

/** Check the whole directory. Throws when it cannot be listed, and BUDGET_TOO_SMALL. */
export async function verifyDirectory(parts: VerifyParts): Promise<VerifyReport> {
  const names = parts.files.list(parts.directory)
  const lease = parts.account.lease(BYTES_PER_FILE * names.length)
  const verifier = new DirectoryVerifier(parts, names)
  try {
    await verifier.run()
    return verifier.findings.report
  } finally {
    verifier.close()
    lease.release()
  }
}

class DirectoryVerifier {
  readonly findings = new Findings()
  readonly #parts: VerifyParts
  readonly #numbers: Record<FileKind, number[]>
  /** Files without a number. */
  readonly #others: { kind: FileKind, name: string }[] = []
  /** The newest readable manifest, and whether it is the newest of all. */
  #version: Version | undefined
  #versionPath = ''
  #isNewest = false
  #lease: Lease | undefined
  /** Value files without a known reference, and whether all references are known. */
  readonly #unreferenced: Set<number>
  readonly #values: ReadonlySet<number>
  #knowsReferences = true

  constructor(parts: VerifyParts, names: readonly string[]) {
    this.#parts = parts
    const numbers = this.#numbers = { manifest: [], table: [], log: [], value: [], temporary: [], lock: [], hidden: [], foreign: [] } satisfies Record<FileKind, number[]> as Record<FileKind, number[]>
    for (const name of names) {
      const { kind, number } = parseName(name)
      if (number === 0) this.#others.push({ kind, name })
      else numbers[kind].push(number)
    }
    for (const list of Object.values(numbers)) list.sort((a, b) => a - b)
    this.#values = new Set(numbers.value)
    this.#unreferenced = new Set(numbers.value)
  }

  async run(): Promise<void> {
    await this.#checkManifests()
    await this.#checkTables()
    await this.#checkLogs()
    await this.#checkValues()
    for (const { kind, name } of this.#others) this.#checkOther(kind, name)
  }

  close(): void {
    this.#lease?.release()
  }

  async #checkManifests(): Promise<void> {
    const { findings } = this
    const numbers = [...this.#numbers.manifest].reverse()
    for (const number of numbers) {
      await this.#turn()
      const path = this.#path(manifestName(number))
      findings.report.manifests++
      findings.check(path, () => {
        const { version, bytes, lease } = checkManifest(this.#parts, path, number)
        findings.report.bytes += bytes
        if (this.#version !== undefined) {
          lease.release()
          return
        }
        this.#version = version
        this.#versionPath = path
        this.#isNewest = number === numbers[0]
        this.#lease = lease
      })
      if (number !== numbers[0] && this.#isNewest) findings.note(path, 'a newer manifest counts; the next opening removes this one')
    }
    const { directory } = this.#parts
    if (numbers.length === 0) findings.damage(directory, 'the directory has files of a store, but its manifest is missing')
    if (this.#isNewest) return
    this.#knowsReferences = false
    findings.note(directory, this.#version === undefined
      ? 'without a manifest it is unknown which files belong to the store: each is checked by itself'
      : `the newest manifest cannot be read. ${this.#versionPath} is older: what was made since is checked by itself, and what is missing may have been removed since`)
  }

  async #checkTables(): Promise<void> {
    const { findings } = this
    const named = new Map(this.#version?.runs.flatMap(run => run.tables.map(table => [table.fileNumber, table] as const)))
    for (const number of this.#numbers.table) {
      await this.#turn()
      const path = this.#path(tableName(number))
      const record = named.get(number)
      named.delete(number)
      if (record === undefined && this.#isNewest) this.#leftOver(path, () => { checkTable(this.#parts, path, number, undefined, () => {}) })
      else this.#checkTable(path, number, record)
    }
    for (const number of named.keys()) {
      const path = this.#path(tableName(number))
      this.#missing(path, `the table is missing, though ${this.#versionPath} names it`)
      this.#knowsReferences = false
    }
    findings.report.tables += this.#isNewest ? named.size : 0
  }

  #checkTable(path: string, number: number, record: TableRecord | undefined): void {
    const { findings } = this
    const { report } = findings
    const { files, kernels } = this.#parts
    let knowsValues = false
    report.tables++
    const isSound = findings.check(path, () => {
      report.bytes += withFile(files, path, file => file.size())
      const { entries, blocks } = checkTable(this.#parts, path, number, record, ({ valueFiles }) => {
        knowsValues = true
        for (const value of valueFiles) this.#refer(value, path)
      })
      report.entries += entries
      report.blocks += blocks
    }, () => withFile(files, path, file => {
      const { errors, soundBlocks } = tableDamage(file, number, kernels, MAX_PLACES)
      report.blocks += soundBlocks
      return errors
    }))
    if (!isSound && !knowsValues) this.#knowsReferences = false
  }

  async #checkLogs(): Promise<void> {
    const version = this.#isNewest ? this.#version : undefined
    const verifier = new LogVerifier(this.#parts, this.findings, version, this.#versionPath, (number, path) => this.#refer(number, path))
    await verifier.check(this.#numbers.log, () => this.#turn())
    if (!verifier.isWhole) this.#knowsReferences = false
  }

  async #checkValues(): Promise<void> {
    const { findings } = this
    const { files, kernels } = this.#parts
    for (const number of this.#numbers.value) {
      await this.#turn()
      const path = this.#path(valueName(number))
      if (this.#knowsReferences && this.#unreferenced.has(number)) {
        this.#leftOver(path, () => { verifyValueFile(files, path, number, undefined, kernels) })
        continue
      }
      findings.report.valueFiles++
      findings.check(
        path,
        () => { findings.report.bytes += verifyValueFile(files, path, number, undefined, kernels) },
        () => valueFileDamage(files, path, number, kernels, MAX_PLACES),
      )
    }
  }

  #checkOther(kind: FileKind, name: string): void {
    const path = this.#path(name)
    if (kind === 'temporary') this.findings.note(path, 'left by a manifest that was never finished; the next opening removes it')
    else if (kind === 'foreign') this.findings.note(path, 'no file of a store; it is left alone')
    else if (kind === 'lock') this.#checkNote(path)
  }

  /** The note of the lock's holder. Nothing depends on it, and a crash may leave it unfinished. */
  #checkNote(path: string): void {
    let text: string
    try {
      const bytes = new Uint8Array(MAX_NOTE_BYTES)
      text = new TextDecoder().decode(bytes.subarray(0, withFile(this.#parts.files, path, file => file.readSync(bytes, 0, bytes.length, 0))))
    } catch {
      // An unreadable file is no note.
      return
    }
    if (/^\0*$/.test(text)) return
    try {
      if (typeof JSON.parse(text) === 'object') return
    } catch {
      // An unreadable file is no note.
    }
    this.findings.damage(path, 'the note of who has the store open cannot be read. No data depends on it')
  }

  /** No manifest names it: no data is lost with it. */
  #leftOver(path: string, work: () => void): void {
    const problem = problemOf(work)
    const offset = problem instanceof SpillwayError ? problem.details['offset'] : undefined
    const state = problem === undefined ? '' : `. It is not whole${typeof offset === 'number' ? `, at offset ${offset}` : ''}: most likely it was never finished`
    this.findings.note(path, `nothing refers to this file, and the next opening removes it${state}`)
  }

  #refer(number: number, path: string): void {
    this.#unreferenced.delete(number)
    if (!this.#values.has(number)) this.#missing(this.#path(valueName(number)), `the file of a large value is missing, though ${path} refers to it`)
  }

  #missing(path: string, what: string): void {
    if (this.#isNewest) this.findings.damage(path, what)
    else this.findings.note(path, `${what}. It may have been removed since`)
  }

  #path(name: string): string {
    return this.#parts.host.join(this.#parts.directory, name)
  }

  #turn(): Promise<void> {
    return new Promise(resolve => this.#parts.host.scheduler.soon(resolve))
  }
}

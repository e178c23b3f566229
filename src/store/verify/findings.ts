/** Findings of a verification. Damage in one file does not stop the check of others. */
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import { readError } from '../api/io-errors.ts'
import type { VerifyReport } from '../api/reports.ts'

/** Maximum damaged places listed per file, and notes in all, to keep the report small. */
export const MAX_PLACES = 100
const MAX_NOTES = 1000

export class Findings {
  readonly report: VerifyReport = {
    manifests: 0, logs: 0, tables: 0, entries: 0, blocks: 0, operations: 0, valueFiles: 0, bytes: 0, sound: 0, errors: [], notes: [],
  }

  /** Check one file. True: no damage. `listAll`: lists all damage, once some was found. */
  check(path: string, work: () => void, listAll?: () => readonly CorruptionError[]): boolean {
    const error = problemOf(work)
    if (error === undefined) {
      this.report.sound++
      return true
    }
    this.#add(path, error)
    if (listAll !== undefined && error instanceof CorruptionError) {
      const further = problemOf(() => {
        const known = error.details['offset']
        for (const other of listAll()) if (other.details['offset'] !== known) this.#add(path, other)
      })
      if (further !== undefined) this.#add(path, further)
    }
    return false
  }

  damage(file: string, what: string, offset = 0): void {
    this.#add(file, new CorruptionError(file, offset, what))
  }

  note(file: string, message: string): void {
    const { notes } = this.report
    if (notes.length < MAX_NOTES) notes.push({ file, message })
  }

  #add(file: string, error: Error): void {
    const { offset } = error instanceof SpillwayError ? error.details : { offset: undefined }
    this.report.errors.push({ file, message: error.message, ...(typeof offset === 'number' ? { offset } : {}) })
  }
}

/** The error of a check, for the report; undefined: none. Errors that say nothing about the file are rethrown. */
export function problemOf(work: () => void): Error | undefined {
  try {
    work()
    return undefined
  } catch (thrown) {
    const error = readError(thrown)
    if (!(error instanceof SpillwayError) || error.code === 'SPILLWAY_BUDGET_TOO_SMALL' || error.code === 'SPILLWAY_CLOSED') throw error
    return error
  }
}

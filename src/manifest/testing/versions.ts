/** Versions for tests: any that the rules of `version.ts` allow. */
import fc from 'fast-check'
import { Kernels } from '../../kernels/kernels.ts'
import { CHECKSUM_PIECE_BYTES } from '../codec.ts'
import type { RunRecord, TableRecord, Version } from '../version.ts'

export const SEED = 20250622
export const KERNELS: Kernels = new Kernels(CHECKSUM_PIECE_BYTES)

export function table(fileNumber: number, entries = 10, deletes = 1): TableRecord {
  return { fileNumber, fileBytes: 1000 + fileNumber, entries, deletes }
}

export function versionOf(runs: readonly RunRecord[], changes: Partial<Version> = {}): Version {
  const files = runs.flatMap(run => run.tables.map(({ fileNumber }) => fileNumber))
  return {
    number: 7, epoch: 2, lastSeq: 1000, logFloor: 5, nextFile: Math.max(9, ...files) + 1, nextRun: Math.max(0, ...runs.map(({ id }) => id)) + 1,
    strategy: { name: 'leveled', parameters: { multiplier: 10, ratio: 0.5 } }, runs, ...changes,
  }
}

const numbers = fc.oneof(fc.nat(100), fc.maxSafeNat())

/** Any version: runs of tables with numbers of their own. */
export const versions: fc.Arbitrary<Version> = fc.record({
  number: fc.integer({ min: 1, max: 1000 }), epoch: numbers, lastSeq: numbers, logFloor: numbers,
  name: fc.string(), parameters: fc.dictionary(fc.string({ minLength: 1 }), fc.integer(), { noNullPrototype: true }),
  runs: fc.array(fc.record({
    level: fc.nat(8), tables: fc.array(fc.tuple(numbers, numbers, fc.nat(100)), { minLength: 1, maxLength: 5 }),
  }), { maxLength: 6 }),
}).map(({ number, epoch, lastSeq, logFloor, name, parameters, runs }) => {
  let fileNumber = 0
  const records = runs.map(({ level, tables }, id): RunRecord => ({
    id: id + 1, level,
    tables: tables.map(([fileBytes, entries, deletes]) => ({ fileNumber: ++fileNumber, fileBytes, entries, deletes: Math.min(entries, deletes) })),
  }))
  return { number, epoch, lastSeq, logFloor, nextFile: fileNumber + 1, nextRun: runs.length + 1, strategy: { name, parameters }, runs: records }
})

/** The records of a dump: each is one line of text or of JSON. */
import { CorruptionError, damageOf } from '../../base/errors.ts'

/** Keys are copies. Of a value the length and the beginning, or the number of its value file. */
export interface Operation {
  seq: number
  kind: string
  key: Uint8Array
  /** End of a deleted range, exclusive. */
  end?: Uint8Array
  valueBytes?: number
  preview?: string
  valueFile?: number
}

export type DumpRecord =
  | { type: 'log', file: string, number: number, bytes: number, format?: number, mountHash?: string }
  | { type: 'frame', offset: number, bytes: number, firstSeq: number, lastSeq: number, operations: number, syncedBytes: number, continues: boolean }
  | { type: 'operation' } & Operation
  | { type: 'table', file: string, number: number, bytes: number, format?: number }
  | {
    type: 'properties', offset: number, bytes: number, entries: number, deletes: number, rangeDeletes: number, blocks: number, keyBytes: number, valueBytes: number,
    minSeq: number, maxSeq: number, valueFiles: number, firstKey?: Uint8Array, lastKey?: Uint8Array, rangeStart?: Uint8Array, rangeEnd?: Uint8Array,
  }
  | { type: 'rangeTombstones', offset: number, bytes: number, count: number }
  | { type: 'rangeTombstone', seq: number, start: Uint8Array, end: Uint8Array }
  | { type: 'valueFiles', offset: number, bytes: number, numbers: number[] }
  | { type: 'index', offset: number, bytes: number, level: number, children: number }
  | { type: 'filter', offset: number, bytes: number, probes: number, lines: number }
  | { type: 'block', offset: number, bytes: number, blockType: number }
  | {
    type: 'data', offset: number, bytes: number, rawBytes: number, entries: number, minSeq: number, maxSeq: number, firstKey: Uint8Array, lastKey: Uint8Array,
  }
  | { type: 'entry' } & Operation
  | { type: 'manifest', file: string, number: number, bytes: number, format?: number, checksum?: string }
  | { type: 'field', name: string, value: unknown }
  | { type: 'run', id: number, level: number, tables: number }
  | { type: 'runTable', run: number, fileNumber: number, fileBytes: number, entries: number, deletes: number, seqOffset?: number }
  | { type: 'text', text: string }
  | { type: 'value', file: string, number: number, bytes: number, format?: number, valueBytes?: number, pieces?: number, preview?: string }
  | { type: 'note', offset?: number, message: string }
  | { type: 'damage', offset: number, message: string }
  | { type: 'end', damaged: number }

export type DumpRecords = Generator<DumpRecord, void>

export function damageRecord(error: CorruptionError): DumpRecord {
  return { type: 'damage', offset: error.details['offset'] as number, message: damageOf(error) }
}

/** The CorruptionError that `work` throws; undefined: none. */
export function damageFrom(work: () => void): CorruptionError | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof CorruptionError) return error
    throw error
  }
}

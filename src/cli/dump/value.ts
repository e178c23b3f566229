/** Dumps a value file: header, beginning of the value, damaged pieces. The key is in the entry that refers to the file. */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFile, HostFiles } from '../../host/host.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { VALUE_FILE_FORMAT, VALUE_FILE_HEADER_BYTES, VALUE_FILE_PIECE_BYTES, readValueHeader, valueFileDamage } from '../../table/value-file.ts'
import { previewOf } from './operation.ts'
import { damageRecord } from './record.ts'
import type { DumpRecords } from './record.ts'

const MAX_PLACES = 1000
const PREVIEW_BYTES = 1024

export function *valueRecords(file: HostFile, number: number, files: HostFiles, kernels: Kernels): DumpRecords {
  const bytes = file.size()
  const first = new Uint8Array(PREVIEW_BYTES)
  try {
    const valueBytes = readValueHeader(file, number, undefined, kernels)
    const got = file.readSync(first, 0, Math.min(PREVIEW_BYTES, valueBytes), VALUE_FILE_HEADER_BYTES)
    const pieces = Math.ceil(valueBytes / VALUE_FILE_PIECE_BYTES)
    yield { type: 'value', file: file.path, number, bytes, format: VALUE_FILE_FORMAT, valueBytes, pieces, preview: previewOf(first.subarray(0, got)) }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    yield { type: 'value', file: file.path, number, bytes }
  }
  // Damage of the header is included.
  const errors = valueFileDamage(files, file.path, number, kernels, MAX_PLACES)
  for (const error of errors) yield damageRecord(error)
  if (errors.length === 0) yield { type: 'note', message: 'every checksum matches' }
}

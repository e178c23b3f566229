/** An operation of the log or an entry of a table, for a dump. */
import { KIND_DELETE, KIND_PUT } from '../../base/cursor.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import { escapeBytes, shorten } from '../escape.ts'
import type { Operation } from './record.ts'

const PREVIEW_COLUMNS = 60
/** Enough bytes for these columns. */
const PREVIEW_BYTES = 4 * PREVIEW_COLUMNS

/** `key`: a copy. The value is bytes[start, end). */
export function operationOf(seq: number, kind: number, key: Uint8Array, bytes: Uint8Array, start: number, end: number): Operation {
  if (kind === KIND_DELETE) return { seq, kind: 'delete', key }
  if (kind === KIND_DELETE_RANGE) return { seq, kind: 'delete range', key, end: bytes.slice(start, end) }
  if (kind === KIND_PUT) return { seq, kind: 'put', key, valueBytes: end - start, preview: previewOf(bytes.subarray(start, end)) }
  // Neither the block nor the frame checks the length of a reference.
  if (end - start !== VALUE_REFERENCE_BYTES) return { seq, kind: 'put', key, preview: `a reference to a value file of ${end - start} bytes, which is none` }
  const { fileNumber, lengthBytes } = decodeValueReference(bytes, start, end)
  return { seq, kind: 'put', key, valueBytes: lengthBytes, valueFile: fileNumber }
}

/** The beginning of a value, escaped as `get` does; ends in dots if the value is longer. */
export function previewOf(value: Uint8Array): string {
  const escaped = escapeBytes(value.subarray(0, PREVIEW_BYTES))
  const text = shorten(escaped, PREVIEW_COLUMNS)
  return value.length > PREVIEW_BYTES && text === escaped ? `${text}...` : text
}

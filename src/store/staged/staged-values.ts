/** Large values of a transaction: written to files when they are put; the entry holds a reference. */
import { KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { VALUE_REFERENCE_BYTES, encodeValueReference, writeValueFile, writeValueText } from '../../table/value-file.ts'
import type { StoreState } from '../state/store-state.ts'
import { ioError } from '../api/io-errors.ts'

/** What an entry stores: the value, or a reference to its file. */
export interface StoredValue {
  readonly kind: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  /** It was not written after all. */
  forget(core: StoreState): void
}

export interface PlainValue {
  readonly kind: number
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  readonly longText: string
}

/** A file is counted once: the memtable with the reference releases it. No group may be pending. */
export function storedValue(core: StoreState, { kind, value, valueStart, valueEnd, longText }: PlainValue): StoredValue {
  let lengthBytes = valueEnd - valueStart
  const isLarge = kind === KIND_PUT && (lengthBytes > core.engine.plan.inlineValueBytes || longText !== '')
  if (!isLarge) return { kind, bytes: value, start: valueStart, end: valueEnd, forget }
  const { files: { io: files }, engine: { kernels } } = core
  const fileNumber = core.files.takeNumber()
  const path = core.files.valuePath(fileNumber)
  core.valueFiles.retain([fileNumber])
  try {
    if (longText === '') writeValueFile(files, path, fileNumber, value, kernels, false, valueStart, valueEnd)
    else lengthBytes = writeValueText(files, path, fileNumber, longText, lengthBytes, kernels, false)
  } catch (error) {
    core.valueFiles.release([fileNumber])
    throw ioError(error, 'writing a large value')
  }
  core.files.unsyncedValues.add(fileNumber)
  core.counters.valueFileBytes += lengthBytes
  const bytes = new Uint8Array(VALUE_REFERENCE_BYTES)
  encodeValueReference(bytes, 0, fileNumber, lengthBytes)
  return {
    kind: KIND_VALUE_FILE, bytes, start: 0, end: VALUE_REFERENCE_BYTES,
    forget: () => {
      core.files.unsyncedValues.delete(fileNumber)
      core.valueFiles.release([fileNumber])
    },
  }
}

function forget(): void {}

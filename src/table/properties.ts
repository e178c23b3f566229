/** Properties of a table. Layout: FORMAT.md, Properties. */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import { EMPTY } from '../base/cursor.ts'
import { BLOCK_PROPERTIES, MAX_FILE_NUMBER, MAX_KEY_BYTES } from './format.ts'
import { readU32, readU64, writeU32, writeU64 } from './little-endian.ts'

const PROPERTIES_HEADER_BYTES = 104
const FLAG_ENTRIES = 1
const FLAG_RANGES = 2

export interface TableProperties {
  fileNumber: number
  fileBytes: number
  /** Versions with deletions, without range tombstones. */
  entries: number
  deletes: number
  rangeDeletes: number
  blocks: number
  rawKeyBytes: number
  rawValueBytes: number
  /** Range tombstones included; 0 in an empty table. */
  minSeq: number
  maxSeq: number
  /** Absent without entries. */
  firstKey?: Uint8Array | undefined
  lastKey?: Uint8Array | undefined
  /** Hull of the range tombstones, end exclusive. */
  rangeStart?: Uint8Array | undefined
  rangeEnd?: Uint8Array | undefined
  /** Ascending. */
  valueFiles: readonly number[]
}

const NO_FILES: readonly number[] = []

/**
 * The keys share one array: four would take several times their length. Key getters make a new view at each call; `compareFirst`
 * and the like do not.
 */
export class ResidentProperties implements TableProperties {
  readonly fileNumber: number
  readonly fileBytes: number
  readonly entries: number
  readonly deletes: number
  readonly rangeDeletes: number
  readonly blocks: number
  readonly rawKeyBytes: number
  readonly rawValueBytes: number
  minSeq: number
  maxSeq: number
  readonly valueFiles: readonly number[]
  readonly #bytes: Uint8Array
  /** Start of the first key, and the end of each of the four. */
  readonly #at: number
  readonly #firstEnd: number
  readonly #lastEnd: number
  readonly #startEnd: number
  readonly #end: number

  static keyBytes({ firstKey, lastKey, rangeStart, rangeEnd }: TableProperties): number {
    return (firstKey?.length ?? 0) + (lastKey?.length ?? 0) + (rangeStart?.length ?? 0) + (rangeEnd?.length ?? 0)
  }

  /** Copies the keys to `bytes` at `at`. */
  constructor(properties: TableProperties, valueFiles: readonly number[], bytes: Uint8Array, at: number) {
    this.fileNumber = properties.fileNumber
    this.fileBytes = properties.fileBytes
    this.entries = properties.entries
    this.deletes = properties.deletes
    this.rangeDeletes = properties.rangeDeletes
    this.blocks = properties.blocks
    this.rawKeyBytes = properties.rawKeyBytes
    this.rawValueBytes = properties.rawValueBytes
    this.minSeq = properties.minSeq
    this.maxSeq = properties.maxSeq
    this.valueFiles = valueFiles.length === 0 ? NO_FILES : valueFiles
    this.#bytes = bytes
    this.#at = at
    this.#firstEnd = append(properties.firstKey, bytes, at)
    this.#lastEnd = append(properties.lastKey, bytes, this.#firstEnd)
    this.#startEnd = append(properties.rangeStart, bytes, this.#lastEnd)
    this.#end = append(properties.rangeEnd, bytes, this.#startEnd)
  }

  shift(by: number): void {
    this.minSeq += by
    this.maxSeq += by
  }

  get hasEntries(): boolean { return this.entries > 0 }
  get firstKey(): Uint8Array | undefined { return this.hasEntries ? this.#bytes.subarray(this.#at, this.#firstEnd) : undefined }
  get lastKey(): Uint8Array | undefined { return this.hasEntries ? this.#bytes.subarray(this.#firstEnd, this.#lastEnd) : undefined }
  get rangeStart(): Uint8Array | undefined { return this.rangeDeletes > 0 ? this.#bytes.subarray(this.#lastEnd, this.#startEnd) : undefined }
  get rangeEnd(): Uint8Array | undefined { return this.rangeDeletes > 0 ? this.#bytes.subarray(this.#startEnd, this.#end) : undefined }

  /** There must be entries. */
  compareFirst(key: Uint8Array, start: number, end: number): number {
    return compareBytes(this.#bytes, this.#at, this.#firstEnd, key, start, end)
  }

  compareLast(key: Uint8Array, start: number, end: number): number {
    return compareBytes(this.#bytes, this.#firstEnd, this.#lastEnd, key, start, end)
  }

  /** There must be range tombstones. */
  compareRangeEnd(key: Uint8Array, start: number, end: number): number {
    return compareBytes(this.#bytes, this.#startEnd, this.#end, key, start, end)
  }
}

function append(key: Uint8Array | undefined, bytes: Uint8Array, at: number): number {
  if (key === undefined) return at
  copyBytes(key, 0, key.length, bytes, at)
  return at + key.length
}

/** Value files are a separate list. */
export interface StoredProperties {
  properties: TableProperties
  valueFileCount: number
  valueFilesOffset: number
  valueFilesBytes: number
}

/** Returns the end. */
export function encodeProperties(target: Uint8Array, at: number, stored: StoredProperties): number {
  const { properties } = stored
  target.fill(0, at, at + PROPERTIES_HEADER_BYTES)
  target[at] = BLOCK_PROPERTIES
  target[at + 1] = (properties.firstKey ? FLAG_ENTRIES : 0) | (properties.rangeStart ? FLAG_RANGES : 0)
  const numbers = [
    properties.fileNumber, properties.entries, properties.deletes, properties.rangeDeletes, properties.blocks,
    properties.rawKeyBytes, properties.rawValueBytes, properties.minSeq, properties.maxSeq,
  ]
  for (let i = 0; i < numbers.length; i++) writeU64(target, at + 4 + i * 8, numbers[i]!)
  writeU32(target, at + 76, stored.valueFileCount)
  writeU32(target, at + 80, stored.valueFilesOffset)
  writeU32(target, at + 84, stored.valueFilesBytes)
  const keys = [properties.firstKey, properties.lastKey, properties.rangeStart, properties.rangeEnd]
  let end = at + PROPERTIES_HEADER_BYTES
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] ?? EMPTY
    writeU32(target, at + 88 + i * 4, key.length)
    copyBytes(key, 0, key.length, target, end)
    end += key.length
  }
  return end
}

/** Properties, or an error text. Keys are copies. */
export function decodeProperties(bytes: Uint8Array, start: number, end: number, fileBytes: number): StoredProperties | string {
  if (end - start < PROPERTIES_HEADER_BYTES || bytes[start] !== BLOCK_PROPERTIES) {
    return `block type ${bytes[start]} where the properties should be`
  }
  const flags = bytes[start + 1]!
  const number = (i: number) => readU64(bytes, start + 4 + i * 8)
  for (let i = 0; i < 9; i++) if (!Number.isSafeInteger(number(i))) return `number ${i} of the properties is ${number(i)}`
  const properties: TableProperties = {
    fileNumber: number(0), fileBytes, entries: number(1), deletes: number(2), rangeDeletes: number(3), blocks: number(4),
    rawKeyBytes: number(5), rawValueBytes: number(6), minSeq: number(7), maxSeq: number(8), valueFiles: [],
  }
  const keys: Uint8Array[] = []
  let at = start + PROPERTIES_HEADER_BYTES
  for (let i = 0; i < 4; i++) {
    const length = readU32(bytes, start + 88 + i * 4)
    if (length > MAX_KEY_BYTES || at + length > end) return `a key of ${length} bytes in the properties`
    keys.push(bytes.slice(at, at + length))
    at += length
  }
  if (at !== end) return `${end - at} bytes behind the properties`
  if (flags > (FLAG_ENTRIES | FLAG_RANGES)) return `property flags ${flags} are unknown`
  if (properties.fileNumber > MAX_FILE_NUMBER || properties.minSeq > properties.maxSeq || properties.deletes > properties.entries) {
    return 'the properties contradict each other'
  }
  if ((flags & FLAG_ENTRIES) !== 0) {
    properties.firstKey = keys[0]!
    properties.lastKey = keys[1]!
  }
  if ((flags & FLAG_RANGES) !== 0) {
    properties.rangeStart = keys[2]!
    properties.rangeEnd = keys[3]!
  }
  return {
    properties, valueFileCount: readU32(bytes, start + 76),
    valueFilesOffset: readU32(bytes, start + 80), valueFilesBytes: readU32(bytes, start + 84),
  }
}

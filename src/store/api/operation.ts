export interface Operations {
  readonly count: number
  kind: number
  key: Uint8Array
  keyStart: number
  keyEnd: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  /** Not empty: the value is this text, too long to encode at once; the fields above hold only its length in bytes. */
  longText: string
  /** Make operation i the current one. */
  load(i: number): void
  /** Bytes of the result of `keep`. For a batch this encodes all operations and throws for invalid ones. */
  readonly bytes: number
  /** A copy, independent of the caller and all buffers. */
  keep(): Operations
  /** Called right before these are appended, when all earlier writes are in the memtable. */
  prepare?(): void
}

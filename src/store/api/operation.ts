export interface Operations {
  readonly count: number
  kind: number
  key: Uint8Array
  keyStart: number
  keyEnd: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  /** Not '': the value is this text, too long to be encoded at once; only its length is in the fields above, in bytes. */
  longText: string
  /** Make operation i the current one. */
  load(i: number): void
  /** What the result of `keep` holds, in bytes. Of a batch all operations are encoded for it: throws for what cannot be written. */
  readonly bytes: number
  /** The same operations, sharing nothing with the caller or any scratch. */
  keep(): Operations
  /** Called when everything written before is in the memtable, right before these are appended: what they depend on is known now. */
  prepare?(): void
}

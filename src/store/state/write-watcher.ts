/** What was written to the store, right after it was. */
export interface WriteWatcher {
  onWrite(key: Uint8Array, start: number, end: number, kind: number): void
  /** A range was removed, or else many keys were written at once. */
  onMany(isRemoval: boolean): void
}

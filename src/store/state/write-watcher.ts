/** Called for each write, right after it. */
export interface WriteWatcher {
  onWrite(key: Uint8Array, start: number, end: number, kind: number): void
  /** A range was removed, or many keys were written at once. */
  onMany(isRemoval: boolean): void
}

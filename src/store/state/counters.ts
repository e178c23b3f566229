/** Bytes and events since the store was opened. */
export class Counters {
  userBytes = 0
  /** Part of `userBytes` that went to value files. */
  largeBytes = 0
  operations = 0
  logBytes = 0
  flushBytes = 0
  mergeBytes = 0
  valueFileBytes = 0
  flushes = 0
  merges = 0
  backgroundErrors = 0
}

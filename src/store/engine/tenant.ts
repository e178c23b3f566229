import type { SpillwayError } from '../../base/errors.ts'

/** What the engine asks of each of its stores. */
export interface Tenant {
  /** Who takes its arenas. */
  readonly owner: object
  /** Bytes written to memtables so far: they never become fewer. */
  writtenBytes(): number
  /** Bytes of arena that a flush of its active memtable would give back; 0: none, or one is being flushed already. */
  reclaimableBytes(): number
  /** Bytes in its active memtable. */
  unflushedBytes(): number
  /** Flush the active memtable for others, or give its arena back if it is empty. False: it cannot now. Never throws. */
  yieldMemtable(): boolean
  /** Begin a flush that failed again now, in its pause only if that is asked for; false: there is none. */
  retryFlush(isAskedFor: boolean): boolean
  /** Why it cannot give back the memory it holds; undefined: it can. */
  heldBy(): SpillwayError | undefined
  /** Some job has ended: go on with what waits. */
  onProgress(): void
  /** Start merges, if there is a place and something to merge. */
  schedule(): void
  /** Do what readers would profit from, if it is worth that while so much is written; 0: writers are at rest. */
  mergeForReaders?(bytesPerSecond: number): void
  /** Bytes of its tables. */
  tableBytes(): number
  /** What its waiting writes hold. */
  waitingBytes(): number
}

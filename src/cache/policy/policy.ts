/**
 * What every eviction policy does. Entries are numbers below a capacity; the cache keeps their data, the policy only their order, in
 * typed arrays.
 */
export interface EvictionPolicy {
  readonly name: PolicyName
  /** An entry has come. `hash` identifies its key, also after it is gone; `bytes` is its size. */
  insert(entry: number, hash: number, bytes: number): void
  /** An entry was found. */
  touch(entry: number): void
  /** An entry leaves for another reason than eviction: deleted, expired. */
  remove(entry: number): void
  /** Remove the entry that goes next and return it; NONE: there is none. */
  evict(): number
  /** Make space for entries up to `capacity`; the caller has leased `bytesPerEntry` for each. */
  grow(capacity: number): void
  /** Forget all entries, and the space for them. */
  clear(): void
}

/**
 * 'lru': the entry not used for the longest time goes. 'lfu': the one used least often. 'fifo': the oldest. 'adaptive': entries used
 * once go soon, so that scans and loops do not push out what is used again (S3-FIFO, Yang et al., SOSP 2023).
 */
export type PolicyName = 'adaptive' | 'lru' | 'lfu' | 'fifo'

export const NONE = -1

/** The stores and transactions that draw on one budget, as their engine sees them. */
import type { SpillwayError } from '../../base/errors.ts'

export interface Tenant {
  /** The key under which it takes arenas. */
  readonly owner: object
  /** Bytes written to memtables so far; never decreases. */
  writtenBytes(): number
  /** Bytes of arena that flushing its active memtable would free; 0: none, or a flush is under way. */
  reclaimableBytes(): number
  /** Bytes in its active memtable. */
  unflushedBytes(): number
  /** Flush the active memtable for another tenant, or give its arena back if it is empty. False: not now. Never throws. */
  yieldMemtable(): boolean
  /** Retry a failed flush now; while it pauses only if `isAskedFor`. False: there is none. */
  retryFlush(isAskedFor: boolean): boolean
  /** Why it cannot give back its memory; undefined: it can. */
  heldBy(): SpillwayError | undefined
  /** A job has ended: waiting calls try again. */
  onProgress(): void
  /** Start merges, if there is a free place and a pick. */
  schedule(): void
  /** Merge for readers, if that pays at this write rate; 0: no writes. */
  mergeForReaders?(bytesPerSecond: number): void
  /** Bytes of its tables. */
  tableBytes(): number
  /** Bytes of its waiting writes. */
  waitingBytes(): number
}

export class Tenants {
  /** Bytes of the waiting writes of all tenants. */
  queuedBytes = 0
  readonly #all = new Set<Tenant>()

  add(tenant: Tenant): void { this.#all.add(tenant) }
  delete(tenant: Tenant): void { this.#all.delete(tenant) }
  [Symbol.iterator](): Iterator<Tenant> { return this.#all.values() }

  of(owner: object): Tenant | undefined {
    for (const tenant of this.#all) if (tenant.owner === owner) return tenant
    return undefined
  }

  tableBytes(): number { return this.#sum(tenant => tenant.tableBytes()) }
  waitingBytes(): number { return this.#sum(tenant => tenant.waitingBytes()) }

  #sum(bytesOf: (tenant: Tenant) => number): number {
    let bytes = 0
    for (const tenant of this.#all) bytes += bytesOf(tenant)
    return bytes
  }
}

/**
 * A page pool with its kernels and a scratch file of its own, in a directory that goes with the process.
 *
 * 1. The directory and the file are made at the first write; `close` removes both, and so does the end of the process. What a crash
 *    leaves is removed by the next one that looks there.
 *
 * Accounts: `spill kernels`, fixed; `pages`, what the pool takes.
 */
import { Kernels } from '../kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import type { Budget, Lease } from '../memory/budget.ts'
import { PagePool } from '../pages/page-pool.ts'
import type { PagePoolStats } from '../pages/page-pool.ts'
import { ScratchDirectory } from '../host/scratch-directory.ts'
import { ScratchFile } from '../pages/scratch-file.ts'

export type SpillPagesStats = PagePoolStats

/** Pieces of 64 KiB are what compresses best. */
const REGION_BYTES = 64 * 1024

export class SpillPages {
  /** What it takes beside pages and their books. */
  static readonly fixedBytes: number = Kernels.bytesFor(REGION_BYTES)

  readonly pool: PagePool
  readonly #kernelLease: Lease
  readonly #scratch: ScratchFile
  readonly #directory: ScratchDirectory

  /** `limitBytes`: of pages in memory; with 0 every page goes straight to the file. */
  constructor(host: Host, budget: Budget, directory: string, limitBytes: number) {
    this.#directory = new ScratchDirectory(host, directory)
    this.#kernelLease = budget.account('spill kernels').lease(SpillPages.fixedBytes)
    try {
      const account = budget.account('pages')
      this.#scratch = new ScratchFile(host.files, () => this.#directory.newFile('pages'), account)
      this.pool = new PagePool(account, { kernels: new Kernels(REGION_BYTES), scratch: this.#scratch, limitBytes })
    } catch (error) {
      this.#kernelLease.release()
      throw error
    }
  }

  close(): void {
    try {
      this.pool.close()
      this.#scratch.close()
    } finally {
      this.#directory.close()
      this.#kernelLease.release()
    }
  }
}

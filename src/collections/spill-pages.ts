/**
 * A page pool with kernels and a scratch file, created at the first write and removed by `close`, at process exit, or after a crash
 * by the next process that spills there.
 *
 * Accounts: `spill kernels`, fixed; `pages`.
 */
import { Kernels } from '../kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import type { Budget, Lease } from '../memory/budget.ts'
import { PagePool } from '../pages/page-pool.ts'
import type { PagePoolStats } from '../pages/page-pool.ts'
import { ScratchDirectory } from '../host/scratch-directory.ts'
import { ScratchFile } from '../pages/scratch-file.ts'

export type SpillPagesStats = PagePoolStats

/** Compresses best. */
const REGION_BYTES = 64 * 1024

export class SpillPages {
  static readonly fixedBytes: number = Kernels.bytesFor(REGION_BYTES)

  readonly pool: PagePool
  readonly #kernelLease: Lease
  readonly #scratch: ScratchFile | undefined
  readonly #directory: ScratchDirectory | undefined

  /**
   * `directory` undefined: without a file. `limitBytes` 0: no page stays uncompressed. `targetRssBytes`: compressed pages stay in
   * memory up to this.
   */
  constructor(host: Host, budget: Budget, directory: string | undefined, limitBytes: number, targetRssBytes = 0) {
    const scratchDirectory = this.#directory = directory === undefined ? undefined : new ScratchDirectory(host, directory)
    this.#kernelLease = budget.account('spill kernels').lease(SpillPages.fixedBytes)
    try {
      const account = budget.account('pages')
      if (scratchDirectory !== undefined) this.#scratch = new ScratchFile(host.files, () => scratchDirectory.newFile('pages'), account)
      this.pool = new PagePool(account, { kernels: new Kernels(REGION_BYTES), scratch: this.#scratch, limitBytes, targetRssBytes })
    } catch (error) {
      this.#kernelLease.release()
      throw error
    }
  }

  close(): void {
    try {
      this.pool.close()
      this.#scratch?.close()
    } finally {
      this.#directory?.close()
      this.#kernelLease.release()
    }
  }
}

/**
 * A page pool with its kernels and a scratch file of its own, in a directory that goes with the process.
 *
 * 1. The directory and the file are made at the first write; `close` removes both, and so does the end of the process. What a crash
 *    leaves is removed by the next one that looks there.
 *
 * Accounts: `spill kernels`, fixed; `pages`, what the pool takes.
 */
import { Kernels } from '../base/kernels/kernels.ts'
import type { Host, HostFiles } from '../host/host.ts'
import { scratchDirectory } from '../host/node/scratch-directory.ts'
import type { ScratchDirectory } from '../host/node/scratch-directory.ts'
import type { Budget, Lease } from '../memory/budget.ts'
import { PagePool } from '../pages/page-pool.ts'
import type { PagePoolStats } from '../pages/page-pool.ts'
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
  constructor(host: Host, budget: Budget, directory: string | undefined, limitBytes: number) {
    this.#kernelLease = budget.account('spill kernels', 'fixed').lease(SpillPages.fixedBytes)
    this.#directory = scratchDirectory(directory)
    const account = budget.account('pages', 'pages in memory, 256 bytes of books a page, the map of the scratch file')
    this.#scratch = new ScratchFile(inDirectory(host.files, this.#directory), host.join(this.#directory.path, 'pages'), account)
    this.pool = new PagePool(account, { kernels: new Kernels(REGION_BYTES), scratch: this.#scratch, limitBytes })
  }

  close(): void {
    try {
      this.pool.close()
      this.#scratch.close()
    } finally {
      this.#directory.remove()
      this.#kernelLease.release()
    }
  }
}

/** Files whose directory is made with the first of them. */
function inDirectory(files: HostFiles, directory: ScratchDirectory): HostFiles {
  const lazy = Object.create(files) as HostFiles
  lazy.create = path => {
    directory.make()
    return files.create(path)
  }
  lazy.remove = path => { files.remove(path) }
  return lazy
}

/** Pools over a simulated disk, and pages with contents that tell them apart. */
import { Kernels } from '../../base/kernels/kernels.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import type { Account } from '../../memory/budget.ts'
import { PagePool } from '../page-pool.ts'
import type { PagePoolOptions } from '../page-pool.ts'
import { ScratchFile } from '../scratch-file.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const SCRATCH_PATH = '/scratch/pages'

export const kernels = new Kernels(64 * KIB)

export interface TestPool {
  pool: PagePool
  host: SimHost
  budget: Budget
  account: Account
  tierAccount: Account
  scratch: ScratchFile
  close(): void
}

export interface TestOptions extends Partial<PagePoolOptions> {
  budgetBytes?: number
  seed?: number
}

/** A pool with a limit of four pages of 64 KiB unless told otherwise; poison is on. */
export function testPool(options: TestOptions = {}): TestPool {
  const { budgetBytes = 64 * MIB, seed = 1, ...poolOptions } = options
  const host = new SimHost({ seed })
  host.disk.isLogging = false
  host.files.makeDirectory('/scratch')
  const budget = new Budget(budgetBytes)
  const account = budget.account('pages', 'test')
  const tierAccount = budget.account('compressed pages', 'test')
  const scratch = new ScratchFile(host.files, SCRATCH_PATH, account, { poison: true })
  const pool = new PagePool(account, { kernels, scratch, limitBytes: 256 * KIB, tierAccount, poison: true, ...poolOptions })
  return {
    pool, host, budget, account, tierAccount, scratch,
    close() {
      pool.close()
      scratch.close()
    },
  }
}

/** Bytes that only this seed gives; about a third of them noise, so that they compress to a third. */
export function pageBytes(seed: number, length = 64 * KIB): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = i % 96 < 30 ? state : seed
  }
  return bytes
}

/** Bytes that do not compress. */
export function noise(seed: number, length = 64 * KIB): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 11
  }
  return bytes
}

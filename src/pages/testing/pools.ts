/** Page pools over a simulated disk, and page contents derived from a seed. */
import { Kernels } from '../../kernels/kernels.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import type { Account } from '../../memory/budget.ts'
import { PagePool } from '../page-pool.ts'
import type { PageOptions, PagePoolOptions } from '../page-pool.ts'
import type { Page } from '../page.ts'
import { ScratchFile } from '../scratch-file.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
/** Bytes of a page. */
export const SIZE = 64 * KIB
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

/** A pool with poison on and, by default, a limit of four pages of 64 KiB. */
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

/** Bytes unique to the seed, about a third of them noise, so that LZ4 brings them to a third. */
export function pageBytes(seed: number, length = SIZE): Uint8Array {
  return filled(seed, length, (random, i) => i % 96 < 30 ? random : seed)
}

/** Bytes that do not compress. */
export function noise(seed: number, length = SIZE): Uint8Array {
  return filled(seed, length, random => random >>> 11)
}

export function insert(pool: PagePool, seed: number, options: PageOptions = {}): Page {
  return pool.insert(pageBytes(seed), 0, SIZE, options)
}

/** True if the page has the bytes of `seed`. */
export function isRight(pool: PagePool, page: Page, seed: number): boolean {
  const target = new Uint8Array(page.length)
  pool.read(page, target, 0)
  return Buffer.compare(target, pageBytes(seed, page.length)) === 0
}

/** True if the page is evicted. Counts as a read. */
export function isEvicted(pool: PagePool, page: Page): boolean {
  const before = pool.stats().readFaults
  pool.read(page, new Uint8Array(1), 0, 0, 1)
  return pool.stats().readFaults > before
}

function filled(seed: number, length: number, byteOf: (random: number, i: number) => number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = byteOf(state, i)
  }
  return bytes
}

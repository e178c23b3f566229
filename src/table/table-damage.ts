/**
 * Lists every damaged place of a table. `table-verify.ts` stops at the first; this goes on with everything reachable (`table-walk.ts`).
 *
 * Cost: one pass over the blocks, a copy of each index node on the way down.
 */
import { CorruptionError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import { StoredBlockReader } from './block/stored-block-reader.ts'
import { FOOTER_BYTES, type Footer } from './footer.ts'
import { readFooter } from './table-reader.ts'
import { walkTable } from './table-walk.ts'

export interface TableDamage {
  /** In the order found, up to the limit. */
  readonly errors: CorruptionError[]
  /** Data blocks with correct checksum and structure. */
  soundBlocks: number
}

/** Errors of the file system are thrown. */
export function tableDamage(file: HostFile, fileNumber: number, kernels: Kernels, most: number): TableDamage {
  const damage: TableDamage = { errors: [], soundBlocks: 0 }
  let footer: Footer
  try {
    footer = readFooter(file, fileNumber, kernels)
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    damage.errors.push(error)
    return damage
  }
  const table = { file, fileNumber, blockEnd: Math.max(0, file.size() - FOOTER_BYTES) }
  for (const step of walkTable(table, new StoredBlockReader(kernels), footer)) {
    if (step.what === 'data') damage.soundBlocks++
    else if (step.what === 'damage') damage.errors.push(step.error)
    if (damage.errors.length >= most) break
  }
  return damage
}

/**
 * Lists every damaged place of a table. `table-verify.ts` stops at the first; this goes on with everything reachable: a lost block
 * hides only what it points to.
 *
 * Invariant: every block is read once, whatever the index says.
 *
 * Cost: one pass over the blocks, a copy of each index node on the way down.
 */
import { CorruptionError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import { StoredBlockReader } from './block/stored-block-reader.ts'
import type { BlockFile } from './block/stored-block-reader.ts'
import { FOOTER_BYTES } from './footer.ts'
import { BLOCK_DATA, BLOCK_FILTER, BLOCK_INDEX, BLOCK_PROPERTIES } from './format.ts'
import { handleAt, nodeCount, nodeLevel } from './index/index-node.ts'
import { listStoredBytes } from './list-reader.ts'
import { readU32 } from './little-endian.ts'
import { decodeProperties } from './properties.ts'
import { readFooter } from './table-reader.ts'

export interface TableDamage {
  /** In the order found, up to the limit. */
  readonly errors: CorruptionError[]
  /** Data blocks with correct checksum and structure. */
  soundBlocks: number
}

/** Errors of the file system are thrown. */
export function tableDamage(file: HostFile, fileNumber: number, kernels: Kernels, most: number): TableDamage {
  return new Survey(file, fileNumber, kernels, most).damage
}

class Survey {
  readonly damage: TableDamage = { errors: [], soundBlocks: 0 }
  readonly #table: BlockFile
  readonly #loader: StoredBlockReader
  readonly #most: number
  /** The last offset reached, by level of index nodes, and before them that of data blocks: all lie in key order. */
  readonly #reached: number[] = []

  constructor(file: HostFile, fileNumber: number, kernels: Kernels, most: number) {
    this.#table = { file, fileNumber, blockEnd: Math.max(0, file.size() - FOOTER_BYTES) }
    this.#loader = new StoredBlockReader(kernels)
    this.#most = most
    this.#try(() => {
      const footer = readFooter(file, fileNumber, kernels)
      this.#try(() => {
        this.#load(footer.propertiesOffset, footer.propertiesBytes, BLOCK_PROPERTIES)
        const stored = decodeProperties(kernels.memory, this.#loader.start, this.#loader.end, footer.fileBytes)
        if (typeof stored === 'string') throw new CorruptionError(file.path, footer.propertiesOffset, stored)
        this.#try(() => listStoredBytes(this.#table, this.#loader, stored.valueFilesOffset, stored.valueFilesBytes))
      })
      this.#try(() => listStoredBytes(this.#table, this.#loader, footer.rangesOffset, footer.rangesBytes))
      if (footer.rootBytes > 0) this.#node(footer.rootOffset, footer.rootBytes, undefined)
    })
  }

  /** `level`: of the node, if its parent told. */
  #node(offset: number, storedBytes: number, level: number | undefined): void {
    this.#try(() => {
      if (level !== undefined) this.#advance(level + 1, offset)
      this.#load(offset, storedBytes, BLOCK_INDEX)
      const { start, end, kernels } = this.#loader
      // Children use the same memory.
      const node = kernels.memory.slice(start, end)
      const found = nodeLevel(node, 0)
      if (level !== undefined && found !== level) throw new CorruptionError(this.#table.file.path, offset, `an index node of level ${found} in the place of one of ${level}`)
      for (let i = 0; i < nodeCount(node, 0) && this.damage.errors.length < this.#most; i++) {
        const handle = handleAt(node, 0, i)
        const child = readU32(node, handle)
        const childBytes = readU32(node, handle + 4)
        if (found === 0) {
          this.#try(() => {
            this.#advance(0, child)
            this.#load(child, childBytes, BLOCK_DATA)
            this.damage.soundBlocks++
          })
          continue
        }
        const filterBytes = found === 1 ? readU32(node, handle + 12) : 0
        if (filterBytes > 0) this.#try(() => this.#load(readU32(node, handle + 8), filterBytes, BLOCK_FILTER))
        this.#node(child, childBytes, found - 1)
      }
    })
  }

  /** So that a circular index ends. */
  #advance(place: number, offset: number): void {
    const reached = this.#reached[place]
    if (reached !== undefined && offset <= reached) throw new CorruptionError(this.#table.file.path, offset, `the index leads from a block at ${reached} back to this one`)
    this.#reached[place] = offset
  }

  #load(offset: number, storedBytes: number, type: number): void {
    const loader = this.#loader
    loader.load(this.#table, offset, storedBytes)
    const found = loader.kernels.memory[loader.start]
    if (found !== type) throw new CorruptionError(this.#table.file.path, offset, `a block of type ${found} where one of ${type} should be`)
  }

  #try(work: () => void): void {
    const { errors } = this.damage
    if (errors.length >= this.#most) return
    try {
      work()
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      errors.push(error)
    }
  }
}

/**
 * Walks a table from its footer, block by block, and goes on past damage: a lost block hides only what it points to.
 *
 * Invariants
 * 1. The block of a step is in the loader's memory until the next step.
 * 2. Every block is read once, whatever the index says.
 *
 * Cost: one pass over the blocks, a copy of each index node on the way down.
 */
import type { RangeTombstone } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import type { BlockFile, StoredBlockReader } from './block/stored-block-reader.ts'
import type { Footer } from './footer.ts'
import { BLOCK_DATA, BLOCK_FILTER, BLOCK_INDEX, BLOCK_PROPERTIES } from './format.ts'
import { handleAt, nodeCount, nodeLevel } from './index/index-node.ts'
import { rangePieces, valueFilePieces, type ListPiece } from './list-reader.ts'
import { readU32 } from './little-endian.ts'
import { decodeProperties, type StoredProperties } from './properties.ts'

export type TableStep =
  | { what: 'properties', offset: number, storedBytes: number, stored: StoredProperties }
  | { what: 'ranges', piece: ListPiece<RangeTombstone> }
  | { what: 'valueFiles', piece: ListPiece<number> }
  | { what: 'index', offset: number, storedBytes: number, level: number, children: number }
  | { what: 'filter', offset: number, storedBytes: number }
  | { what: 'data', offset: number, storedBytes: number }
  | { what: 'damage', error: CorruptionError }

export interface WalkOptions {
  /** Called with the bytes of all copies of index nodes before one is made; throws when there is no room. */
  admit?: (bytes: number) => void
}

/** Errors of the file system are thrown. */
export function *walkTable(table: BlockFile, loader: StoredBlockReader, footer: Footer, { admit = () => {} }: WalkOptions = {}): Generator<TableStep, void> {
  const { propertiesOffset, propertiesBytes } = footer
  const stored = attempt(() => loadProperties(table, loader, footer))
  if (stored instanceof CorruptionError) {
    yield damage(stored)
  } else {
    yield { what: 'properties', offset: propertiesOffset, storedBytes: propertiesBytes, stored }
    for (const piece of attempts(valueFilePieces(table, loader, stored.valueFilesOffset, stored.valueFilesBytes))) {
      yield piece instanceof CorruptionError ? damage(piece) : { what: 'valueFiles', piece }
    }
  }
  for (const piece of attempts(rangePieces(table, loader, footer.rangesOffset, footer.rangesBytes))) {
    yield piece instanceof CorruptionError ? damage(piece) : { what: 'ranges', piece }
  }
  if (footer.rootBytes > 0) yield* new IndexWalk(table, loader, admit).node(footer.rootOffset, footer.rootBytes, undefined)
}

class IndexWalk {
  readonly #table: BlockFile
  readonly #loader: StoredBlockReader
  readonly #admit: (bytes: number) => void
  /** The last offset reached, by level of index nodes, and before them that of data blocks: all lie in key order. */
  readonly #reached: number[] = []
  #heldBytes = 0

  constructor(table: BlockFile, loader: StoredBlockReader, admit: (bytes: number) => void) {
    this.#table = table
    this.#loader = loader
    this.#admit = admit
  }

  /** `level`: of the node, if its parent told. */
  *node(offset: number, storedBytes: number, level: number | undefined): Generator<TableStep, void> {
    const node = attempt(() => this.#loadNode(offset, storedBytes, level))
    if (node instanceof CorruptionError) {
      yield damage(node)
      return
    }
    const found = nodeLevel(node, 0)
    const children = nodeCount(node, 0)
    yield { what: 'index', offset, storedBytes, level: found, children }
    for (let i = 0; i < children; i++) {
      const handle = handleAt(node, 0, i)
      const child = readU32(node, handle)
      const childBytes = readU32(node, handle + 4)
      if (found === 0) {
        yield this.#block('data', child, childBytes)
        continue
      }
      const filterBytes = found === 1 ? readU32(node, handle + 12) : 0
      if (filterBytes > 0) yield this.#block('filter', readU32(node, handle + 8), filterBytes)
      yield* this.node(child, childBytes, found - 1)
    }
    this.#heldBytes -= node.length
    this.#admit(this.#heldBytes)
  }

  /** A copy: children use the same memory. */
  #loadNode(offset: number, storedBytes: number, level: number | undefined): Uint8Array {
    const loader = this.#loader
    if (level !== undefined) this.#advance(level + 1, offset)
    loadBlock(this.#table, loader, offset, storedBytes, BLOCK_INDEX)
    const { memory } = loader.kernels
    const found = nodeLevel(memory, loader.start)
    if (level !== undefined && found !== level) {
      throw new CorruptionError(this.#table.file.path, offset, `an index node of level ${found} in the place of one of ${level}`)
    }
    this.#admit(this.#heldBytes + loader.end - loader.start)
    this.#heldBytes += loader.end - loader.start
    return memory.slice(loader.start, loader.end)
  }

  #block(what: 'data' | 'filter', offset: number, storedBytes: number): TableStep {
    const loaded = attempt(() => {
      if (what === 'data') this.#advance(0, offset)
      loadBlock(this.#table, this.#loader, offset, storedBytes, what === 'data' ? BLOCK_DATA : BLOCK_FILTER)
    })
    return loaded instanceof CorruptionError ? damage(loaded) : { what, offset, storedBytes }
  }

  /** So that a circular index ends. */
  #advance(place: number, offset: number): void {
    const reached = this.#reached[place]
    if (reached !== undefined && offset <= reached) {
      throw new CorruptionError(this.#table.file.path, offset, `the index leads from a block at ${reached} back to this one`)
    }
    this.#reached[place] = offset
  }
}

function loadProperties(table: BlockFile, loader: StoredBlockReader, { propertiesOffset, propertiesBytes, fileBytes }: Footer): StoredProperties {
  loadBlock(table, loader, propertiesOffset, propertiesBytes, BLOCK_PROPERTIES)
  const stored = decodeProperties(loader.kernels.memory, loader.start, loader.end, fileBytes)
  if (typeof stored === 'string') throw new CorruptionError(table.file.path, propertiesOffset, stored)
  return stored
}

function loadBlock(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number, type: number): void {
  loader.load(table, offset, storedBytes)
  const found = loader.kernels.memory[loader.start]
  if (found !== type) throw new CorruptionError(table.file.path, offset, `a block of type ${found} where one of ${type} should be`)
}

function damage(error: CorruptionError): TableStep {
  return { what: 'damage', error }
}

/** What `work` returns, or the damage that it throws. */
function attempt<T>(work: () => T): T | CorruptionError {
  try {
    return work()
  } catch (error) {
    if (error instanceof CorruptionError) return error
    throw error
  }
}

/** The steps of a generator up to the first damage, which is yielded in the place of a step. */
function *attempts<T>(steps: Generator<T, void>): Generator<T | CorruptionError, void> {
  for (;;) {
    const next = attempt(() => steps.next())
    if (next instanceof CorruptionError) {
      yield next
      return
    }
    if (next.done === true) return
    yield next.value
  }
}

/** Dumps a table: everything its footer leads to; without a footer the blocks found from the first byte on. */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFile } from '../../host/host.ts'
import { findBlock } from '../../table/block-search.ts'
import { DataBlock } from '../../table/block/data-block.ts'
import { StoredBlockReader } from '../../table/block/stored-block-reader.ts'
import type { BlockFile } from '../../table/block/stored-block-reader.ts'
import { filterShape } from '../../table/filter/filter.ts'
import { FOOTER_BYTES, FORMAT_VERSION, decodeFooter, hasMagic } from '../../table/footer.ts'
import type { Footer } from '../../table/footer.ts'
import { BLOCK_DATA } from '../../table/format.ts'
import { readFooter } from '../../table/table-reader.ts'
import { walkTable } from '../../table/table-walk.ts'
import type { TableStep, WalkOptions } from '../../table/table-walk.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { operationOf } from './operation.ts'
import { damageRecord } from './record.ts'
import type { DumpRecord, DumpRecords } from './record.ts'

export interface TableDumpOptions extends WalkOptions {
  /** Dump every entry of every data block. */
  withEntries: boolean
}

export function *tableRecords(file: HostFile, number: number, kernels: Kernels, options: TableDumpOptions): DumpRecords {
  const bytes = file.size()
  const loader = new StoredBlockReader(kernels)
  const blocks: BlockFile = { file, fileNumber: number, blockEnd: Math.max(0, bytes - FOOTER_BYTES) }
  let footer: Footer | undefined
  try {
    footer = readFooter(file, number, kernels)
    yield { type: 'table', file: file.path, number, bytes, format: FORMAT_VERSION }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    yield { type: 'table', file: file.path, number, bytes }
    yield damageRecord(error)
    footer = damagedFooter(file, bytes)
    if (footer !== undefined) yield { type: 'note', message: 'the blocks that the damaged footer names are tried: each has its own checksum' }
  }
  if (footer === undefined) {
    yield* foundBlocks({ ...blocks, blockEnd: bytes }, loader, options)
    return
  }
  for (const step of walkTable(blocks, loader, footer, options)) yield* stepRecords(step, loader, options)
}

/** The footer although its checksum does not match; undefined: there is none. */
function damagedFooter(file: HostFile, fileBytes: number): Footer | undefined {
  const bytes = new Uint8Array(FOOTER_BYTES)
  if (fileBytes < FOOTER_BYTES || file.readSync(bytes, 0, FOOTER_BYTES, fileBytes - FOOTER_BYTES) < FOOTER_BYTES || !hasMagic(bytes, 0)) return undefined
  return { ...decodeFooter(bytes, 0), fileBytes }
}

function *foundBlocks(blocks: BlockFile, loader: StoredBlockReader, { withEntries }: TableDumpOptions): DumpRecords {
  yield { type: 'note', message: 'without a footer the blocks are searched from the first byte on' }
  let offset = 0
  while (offset < blocks.blockEnd) {
    const storedBytes = findBlock(blocks, offset, loader.kernels)
    if (storedBytes === 0) break
    loader.load(blocks, offset, storedBytes)
    const blockType = loader.kernels.memory[loader.start]!
    if (blockType === BLOCK_DATA) yield* dataRecords(offset, storedBytes, loader, withEntries)
    else yield { type: 'block', offset, bytes: storedBytes, blockType }
    offset += storedBytes
  }
  if (offset < blocks.blockEnd) yield { type: 'damage', offset, message: `no whole block begins here; the last ${blocks.blockEnd - offset} bytes cannot be read` }
}

function *stepRecords(step: TableStep, loader: StoredBlockReader, { withEntries }: TableDumpOptions): DumpRecords {
  const { kernels: { memory }, start } = loader
  switch (step.what) {
    case 'damage': yield damageRecord(step.error); break
    case 'properties': yield propertiesRecord(step); break
    case 'valueFiles': yield { type: 'valueFiles', offset: step.piece.offset, bytes: step.piece.storedBytes, numbers: step.piece.records }; break
    case 'ranges': {
      const { offset, storedBytes, records } = step.piece
      yield { type: 'rangeTombstones', offset, bytes: storedBytes, count: records.length }
      for (const { seq, start, end } of records) yield { type: 'rangeTombstone', seq, start, end }
      break
    }
    case 'index': yield { type: 'index', offset: step.offset, bytes: step.storedBytes, level: step.level, children: step.children }; break
    case 'filter': yield { type: 'filter', offset: step.offset, bytes: step.storedBytes, ...filterShape(memory, start) }; break
    case 'data': yield* dataRecords(step.offset, step.storedBytes, loader, withEntries)
  }
}

function propertiesRecord({ offset, storedBytes, stored: { properties, valueFileCount } }: TableStep & { what: 'properties' }): DumpRecord {
  const { entries, deletes, rangeDeletes, blocks, rawKeyBytes, rawValueBytes, minSeq, maxSeq, firstKey, lastKey, rangeStart, rangeEnd } = properties
  return {
    type: 'properties', offset, bytes: storedBytes, entries, deletes, rangeDeletes, blocks, keyBytes: rawKeyBytes, valueBytes: rawValueBytes, minSeq, maxSeq,
    valueFiles: valueFileCount, ...firstKey === undefined ? {} : { firstKey, lastKey: lastKey! }, ...rangeStart === undefined ? {} : { rangeStart, rangeEnd: rangeEnd! },
  }
}

/** The data block in the loader. */
function *dataRecords(offset: number, storedBytes: number, loader: StoredBlockReader, withEntries: boolean): DumpRecords {
  const block = new DataBlock()
  block.open(loader.kernels.memory, loader.start)
  let minSeq = Infinity
  let maxSeq = 0
  for (let i = 0; i < block.count; i++) {
    minSeq = Math.min(minSeq, block.seq(i))
    maxSeq = Math.max(maxSeq, block.seq(i))
  }
  yield {
    type: 'data', offset, bytes: storedBytes, rawBytes: loader.end - loader.start, entries: block.count, minSeq, maxSeq,
    firstKey: keyOf(block, 0), lastKey: keyOf(block, block.count - 1),
  }
  for (let i = 0; withEntries && i < block.count; i++) {
    yield { type: 'entry', ...operationOf(block.seq(i), block.kind(i), keyOf(block, i), block.bytes, block.valueStart(i), block.valueEnd(i)) }
  }
}

function keyOf(block: DataBlock, i: number): Uint8Array {
  const from = block.suffixStart(i)
  const to = block.suffixEnd(i)
  const key = new Uint8Array(block.prefixLength + to - from)
  key.set(block.bytes.subarray(block.prefixAt, block.prefixAt + block.prefixLength))
  key.set(block.bytes.subarray(from, to), block.prefixLength)
  return key
}

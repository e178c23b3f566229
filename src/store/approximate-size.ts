/** Bytes of a range on disk, from the indexes of its tables; memory is not counted. Cost: two index lookups per table. */
import { compareKeys } from '../base/bytes.ts'
import type { CachedBlocks } from '../table/block/block-source.ts'
import type { TableReader } from '../table/table-reader.ts'
import type { StoreState } from './state/store-state.ts'
import type { ByteRange } from './api/key-range.ts'

export function approximateBytes({ view: { tree }, engine: { reading: { blocks } } }: StoreState, { start, end }: ByteRange): number {
  let bytes = 0
  for (const run of tree.runs) {
    for (const table of run.pointReaders) {
      const from = start === undefined ? 0 : bytesBefore(table, blocks, start)
      const to = end === undefined ? table.properties.fileBytes : bytesBefore(table, blocks, end)
      bytes += Math.max(0, to - from)
    }
  }
  return bytes
}

/** About the offset of the first key at or after this one. */
function bytesBefore(table: TableReader, blocks: CachedBlocks, key: Uint8Array): number {
  const { firstKey, lastKey, fileBytes } = table.properties
  if (compareKeys(key, firstKey!) <= 0) return 0
  return compareKeys(key, lastKey!) > 0 ? fileBytes : table.approximateOffset(blocks, key)
}

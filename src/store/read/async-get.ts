/** Point reads that leave the thread while a missing block is read (`engine/async-block-reads.ts`), and go on at the same sequence number. */
import type { Hit } from '../../base/cursor.ts'
import { copyOf } from '../../encoding/encoding.ts'
import { BLOCK_MISSED } from '../../table/block/block-source.ts'
import type { CachedBlocks, MissedBlock } from '../../table/block/block-source.ts'
import { readError } from '../api/io-errors.ts'
import type { SnapshotList } from '../api/snapshots.ts'
import type { AsyncBlockReads } from '../engine/async-block-reads.ts'
import type { GivenUp, PointReader } from './point-reader.ts'

/** The part of a store that such a read uses. */
interface Readable {
  readonly engine: { readonly reading: { readonly blocks: CachedBlocks, readonly asyncReads: AsyncBlockReads } }
  readonly snapshots: SnapshotList
  readonly lastSeq: number
  readonly health: { checkOpen(): void }
}

/** After this many block reads for one lookup, none of which stayed cached, the cache is too small: read on the main thread. */
const MAX_WAITS = 64

/**
 * Look up a key without blocking on the device. `answer` turns the hit into the result at once; if a block is missing, the rest
 * happens later, at the same sequence number.
 */
export function findAsync<T>(
  core: Readable, reader: PointReader, key: Uint8Array, start: number, end: number, snapshotSeq: number, answer: (hit: Hit | undefined) => T,
): Promise<T> {
  let hit: Hit | undefined
  try {
    hit = core.engine.reading.asyncReads.isLone() ? reader.find(key, start, end, snapshotSeq) : findDeferred(core.engine.reading.blocks, reader, key, start, end, snapshotSeq)
    if (hit === undefined && reader.isGivenUp) return findLater(core, reader, copyOf(key, start, end), snapshotSeq, answer)
  } catch (error) {
    return error === BLOCK_MISSED ? findLater(core, reader, copyOf(key, start, end), snapshotSeq, answer) : Promise.reject(readError(error))
  }
  try {
    return Promise.resolve(answer(hit))
  } catch (error) {
    return Promise.reject(readError(error))
  }
}

async function findLater<T>(core: Readable, reader: PointReader, key: Uint8Array, snapshotSeq: number, answer: (hit: Hit | undefined) => T): Promise<T> {
  // Versions visible now must still exist when the block arrives.
  const snapshot = core.snapshots.add(snapshotSeq)
  try {
    for (let waits = 1; ; waits++) {
      const missed = core.engine.reading.blocks.missed!
      const place = reader.givenUp(missed)
      const isCached = await core.engine.reading.asyncReads.fetch()
      core.health.checkOpen()
      try {
        const hit = findAgain(core.engine.reading.blocks, reader, missed, place, key, snapshotSeq, isCached && waits < MAX_WAITS)
        if (hit !== undefined || !reader.isGivenUp) return answer(hit)
      } catch (error) {
        if (error !== BLOCK_MISSED) throw error
      }
    }
  } catch (error) {
    throw readError(error)
  } finally {
    snapshot.close()
  }
}

function findDeferred(blocks: CachedBlocks, reader: PointReader, key: Uint8Array, start: number, end: number, snapshotSeq: number): Hit | undefined {
  blocks.defers = true
  try {
    return reader.find(key, start, end, snapshotSeq)
  } finally {
    blocks.defers = false
  }
}

function findAgain(
  blocks: CachedBlocks, reader: PointReader, missed: MissedBlock, place: GivenUp | undefined, key: Uint8Array, snapshotSeq: number, defers: boolean,
): Hit | undefined {
  blocks.retried = missed
  blocks.defers = defers
  try {
    return place !== undefined && reader.findFrom(place, key, snapshotSeq) || reader.find(key, 0, key.length, snapshotSeq)
  } finally {
    blocks.retried = undefined
    blocks.defers = false
  }
}

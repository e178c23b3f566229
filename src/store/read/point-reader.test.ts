/** Resuming a lookup that stopped at a missing block: only where the block alone decides. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY, KIND_DELETE, KIND_PUT } from '../../base/cursor.ts'
import type { Hit } from '../../base/cursor.ts'
import { PointReader } from './point-reader.ts'
import type { BlockSource } from '../../table/block/block-source.ts'
import type { GivenUp } from './point-reader.ts'

const KEY = new Uint8Array([1, 2, 3])

/** A look-up given up in run 1 of three, whose block has the key with sequence number 50. */
function givenUp({ isOpen = true, isThere = true, kind = KIND_PUT, laterSeq = 50 }): GivenUp {
  const getFrom = (...args: unknown[]): boolean => {
    const hit = args[8] as Hit
    hit.seq = isThere ? 50 : 0
    hit.kind = kind
    return isThere
  }
  const table = { isOpen, getFrom } as unknown as GivenUp['table']
  const tree = { runs: [{ maxSeq: 90 }, { maxSeq: 80 }, { maxSeq: laterSeq }] } as unknown as GivenUp['tree']
  return { table, offset: 0, storedBytes: 100, tree, run: 1, keepsRows: false }
}

test('a look-up goes on in its block where no other run can have anything newer, and begins again everywhere else', () => {
  const reader = new PointReader({ view: undefined! }, { bytes: EMPTY } as unknown as BlockSource)
  const find = (place: GivenUp): number | undefined => reader.findFrom(place, KEY, 100)?.seq
  assert.equal(find(givenUp({})), 50)
  assert.equal(find(givenUp({ laterSeq: 51 })), undefined)
  assert.equal(find({ ...givenUp({ laterSeq: 51 }), run: 2 }), 50)
  assert.equal(find(givenUp({ isOpen: false })), undefined)
  assert.equal(find(givenUp({ isThere: false })), undefined)
  assert.equal(find(givenUp({ kind: KIND_DELETE })), undefined)
})

// What only `exactOptionalPropertyTypes` can tell: a bound that is there and undefined.
import type { Spillway } from 'spillway'

export async function boundsAreKeys(db: Spillway): Promise<void> {
  // @ts-expect-error
  await db.deleteRange({ gte: undefined })
  // @ts-expect-error
  await db.count({ lt: undefined })
  // @ts-expect-error
  await db.compact({ lte: undefined })
  // @ts-expect-error
  db.iterator({ gt: undefined })
  // @ts-expect-error
  db.iterator({ gt: undefined, keyEncoding: 'buffer' })
}

/**
 * Arrays for what is handed out, new in V8's young generation: all pairs, and columns of up to 1024 rows.
 *
 * V8 remembers of every literal and every `new Array` in the code how many of its arrays outlive a collection, and where they do makes the
 * next ones in the old generation at once. One full collection in the middle of a scan is enough to mislead it, because whatever is
 * stored while it marks counts as alive. The rows of all later scans then hang on arrays that are dead but old, which the collector of the young
 * generation takes for alive: it copied 5 of 9 MB each time, and short scans went at two thirds of their speed, until the process ended.
 * What is sliced off another array is not counted.
 *
 * Cost: a pair 6 ns more than a literal.
 */
const PAIR: unknown[] = [undefined, undefined]
const LONG: unknown[] = []
/** No longer constants, which slices would share until they are written to. */
PAIR[0] = undefined
for (let i = 0; i < 1024; i++) LONG.push(undefined)

export function youngPair<A, B>(first: A, second: B): [A, B] {
  const pair = PAIR.slice()
  pair[0] = first
  pair[1] = second
  return pair as [A, B]
}

/** To be filled by index. */
export function youngArray(length: number): unknown[] {
  return length <= LONG.length ? LONG.slice(0, length) : new Array<unknown>(length)
}

/**
 * Arrays that V8 always allocates in its young generation.
 *
 * V8 pretenures: if arrays from one allocation site survive a collection, later arrays from that site go straight to the old
 * generation. One full collection during a scan triggers that. Then the rows of all later scans hang on dead but old arrays, which
 * the young collector must treat as alive: it copied 5 of 9 MB each time, and short scans ran at two thirds of their speed for the
 * rest of the process. `slice` has no allocation site, so it is exempt.
 *
 * Cost: a pair 6 ns more than a literal.
 */
const PAIR: unknown[] = [undefined, undefined]
const LONG: unknown[] = []
/** Not constants, which slices would share until written to. */
PAIR[0] = undefined
for (let i = 0; i < 1024; i++) LONG.push(undefined)

export function youngPair<A, B>(first: A, second: B): [A, B] {
  const pair = PAIR.slice()
  pair[0] = first
  pair[1] = second
  return pair as [A, B]
}

/** Young up to 1024 elements. */
export function youngArray(length: number): unknown[] {
  return length <= LONG.length ? LONG.slice(0, length) : new Array<unknown>(length)
}

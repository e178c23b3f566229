/**
 * Set operations as in Set: of the other set only `size`, `has` and `keys` are used, and the smaller set is walked. Results are
 * Sets in memory, of copies. Cost: a look-up and a decoding a member.
 */

/** What a Set, a Map and a SpillSet are. */
export interface SetLike<T> {
  readonly size: number
  has(member: T): boolean
  keys(): Iterator<T>
}

interface Own {
  readonly size: number
  has(member: unknown): boolean
  textOf(member: unknown): string
}

interface Other {
  size: number
  has: (member: unknown) => boolean
  keys: () => Iterable<unknown>
}

export function union<T, U>(own: Own, members: Iterable<T>, like: SetLike<U>): Set<T | U> {
  const other = checked(like)
  const made = new Set<T | U>(members)
  for (const member of other.keys()) if (!own.has(member)) made.add(member as U)
  return made
}

export function intersection<T, U>(own: Own, members: Iterable<T>, like: SetLike<U>): Set<T & U> {
  const other = checked(like)
  const made = new Set<T & U>()
  if (own.size <= other.size) {
    for (const member of members) if (other.has(member)) made.add(member as T & U)
  } else {
    for (const member of other.keys()) if (own.has(member)) made.add(member as T & U)
  }
  return made
}

export function difference<T>(own: Own, members: Iterable<T>, like: SetLike<any>): Set<T> {
  const other = checked(like)
  const made = new Set<T>()
  if (own.size <= other.size) {
    for (const member of members) if (!other.has(member)) made.add(member)
    return made
  }
  const common = new Set<string>()
  for (const member of other.keys()) if (own.has(member)) common.add(own.textOf(member))
  for (const member of members) if (!common.has(own.textOf(member))) made.add(member)
  return made
}

export function symmetricDifference<T, U>(own: Own, members: Iterable<T>, like: SetLike<U>): Set<T | U> {
  const other = checked(like)
  const common = new Set<string>()
  const others: U[] = []
  for (const member of other.keys()) {
    if (own.has(member)) common.add(own.textOf(member))
    else others.push(member as U)
  }
  const made = new Set<T | U>()
  for (const member of members) if (!common.has(own.textOf(member))) made.add(member)
  for (const member of others) made.add(member)
  return made
}

export function isSubset(own: Own, members: Iterable<unknown>, like: SetLike<unknown>): boolean {
  const other = checked(like)
  if (own.size > other.size) return false
  for (const member of members) if (!other.has(member)) return false
  return true
}

export function isSuperset(own: Own, like: SetLike<unknown>): boolean {
  const other = checked(like)
  if (own.size < other.size) return false
  for (const member of other.keys()) if (!own.has(member)) return false
  return true
}

export function isDisjoint(own: Own, members: Iterable<unknown>, like: SetLike<unknown>): boolean {
  const other = checked(like)
  if (own.size <= other.size) {
    for (const member of members) if (other.has(member)) return false
  } else {
    for (const member of other.keys()) if (own.has(member)) return false
  }
  return true
}

/** Checks as Set does, reading each property once. */
function checked(like: unknown): Other {
  if (typeof like !== 'object' && typeof like !== 'function' || like === null) throw new TypeError(`${String(like)} is not set-like: it needs size, has and keys`)
  const { size, has, keys } = like as { size?: unknown, has?: unknown, keys?: unknown }
  const count = Number(size)
  if (Number.isNaN(count)) throw new TypeError('the size of a set-like object must be a number')
  if (count < 0) throw new RangeError(`the size of a set-like object must not be negative, but is ${count}`)
  if (typeof has !== 'function') throw new TypeError('has of a set-like object must be a function')
  if (typeof keys !== 'function') throw new TypeError('keys of a set-like object must be a function')
  return {
    size: Math.trunc(count),
    has: member => Boolean(has.call(like, member)),
    keys: () => ({ [Symbol.iterator]: () => keys.call(like) as Iterator<unknown> }),
  }
}

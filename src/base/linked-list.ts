/**
 * Intrusive doubly linked list, in insertion order. A removed node keeps no pointer into the list.
 *
 * Not a Set: V8 replaces a Set's table as members come and go, and an abandoned table references the next. Once one is in the old
 * generation (a long scan or a full collection suffices) the young collector keeps each next table and all its members alive. In a
 * loop of scans of 50 rows the old generation grew by 0.8 MB in 2500 scans, and by 0.1 at most without Sets.
 */
export class Member<T> {
  readonly value: T
  /** @internal */
  before: Member<T> | undefined = undefined
  /** @internal */
  after: Member<T> | undefined = undefined
  /** @internal */
  of: LinkedList<T> | undefined = undefined

  constructor(value: T) {
    this.value = value
  }
}

export class LinkedList<T> {
  #first: Member<T> | undefined
  #last: Member<T> | undefined
  #size = 0

  get size(): number { return this.#size }
  /** Oldest. */
  get first(): Member<T> | undefined { return this.#first }
  /** Newest. */
  get last(): Member<T> | undefined { return this.#last }

  /** A present member keeps its place. */
  add(member: Member<T>): void {
    if (member.of !== undefined) {
      if (member.of !== this) throw new Error('a member of one list was added to another')
      return
    }
    const last = this.#last
    member.of = this
    member.before = last
    if (last === undefined) this.#first = member
    else last.after = member
    this.#last = member
    this.#size++
  }

  /** Absent members are ignored. */
  delete(member: Member<T>): void {
    if (member.of !== this) return
    const { before, after } = member
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    member.before = member.after = member.of = undefined
    this.#size--
  }

  /** Oldest first. */
  list(): T[] {
    const values: T[] = []
    for (let member = this.#first; member !== undefined; member = member.after) values.push(member.value)
    return values
  }
}

/**
 * A history of writes of which every prefix can be told from every other: write i says so in the key `last`, or removes a
 * range of keys. What a store holds after a crash must be the state after one of the prefixes.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../host/sim/random.ts'
import type { Spillway } from '../spillway.ts'
import type { BatchOperation, WriteOptions } from '../api/options.ts'
import { Model } from './model.ts'
import { valueOf } from './run-commands.ts'

type Write =
  | { kind: 'batch', operations: BatchOperation<string, string>[] }
  | { kind: 'range', gte: string, lt: string }

const KEYS = 40

export class History {
  readonly #writes: Write[] = []
  readonly #failed = new Set<number>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get length(): number { return this.#writes.length }

  /** Think of a further write, with values of up to about this many bytes, large ones now and then. Returns its index. */
  next(valueBytes: number): number {
    const random = this.#random
    const index = this.#writes.length
    if (random.below(12) === 0) {
      const from = random.below(KEYS)
      this.#writes.push({ kind: 'range', gte: keyOf(from), lt: keyOf(from + random.between(1, 10)) })
      return index
    }
    const operations: BatchOperation<string, string>[] = [{ type: 'put', key: 'last', value: String(index) }]
    for (let i = random.below(4); i >= 0; i--) {
      if (random.below(6) === 0) {
        operations.push({ type: 'del', key: keyOf(random.below(KEYS)) })
      } else {
        const size = random.below(25) === 0 ? random.between(16_385, 90_000) : random.between(0, valueBytes)
        operations.push({ type: 'put', key: keyOf(random.below(KEYS)), value: valueOf(index + 1, size) })
      }
    }
    // Where `last` stands in the batch must not matter.
    if (random.below(2) === 0) operations.reverse()
    this.#writes.push({ kind: 'batch', operations })
    return index
  }

  write(db: Spillway, index: number, options: WriteOptions): Promise<void> {
    const write = this.#writes[index]!
    return write.kind === 'batch' ? db.batch(write.operations, options) : db.deleteRange({ gte: write.gte, lt: write.lt }, options)
  }

  writeSync(db: Spillway, index: number, options: WriteOptions): void {
    const write = this.#writes[index]!
    if (write.kind === 'batch') db.batchSync(write.operations, options)
    else db.deleteRangeSync({ gte: write.gte, lt: write.lt }, options)
  }

  /** A write that failed: it need not be there, even if later ones are. */
  fail(index: number): void {
    this.#failed.add(index)
  }

  /**
   * The length of the prefix whose state this is; fails if there is none of at least `least`. Later writes are forgotten, and
   * failed ones that are not there.
   */
  recovered(entries: readonly [string, string][], least: number): number {
    const found = new Map(entries)
    const last = Number(found.get('last') ?? -1)
    assert.ok(Number.isSafeInteger(last) && last < this.#writes.length, `write ${last} was never made`)
    // Removals of ranges that follow leave no mark of their own; the longest prefix counts.
    let end = last + 1
    while (end < this.#writes.length && (!this.#leavesMark(end) || this.#failed.has(end))) end++
    const doubtful = [...this.#failed].filter(index => index < end && index !== last).sort((a, b) => a - b)
    assert.ok(doubtful.length <= 12, `${doubtful.length} failed writes are too many to try all ways`)
    let longest = -1
    let absent = new Set<number>()
    for (let ways = 0; ways < 2 ** doubtful.length; ways++) {
      const left = new Set(doubtful.filter((_, i) => (ways & 2 ** i) !== 0))
      const length = this.#longest(found, last, end, left)
      if (length > longest) {
        longest = length
        absent = left
      }
    }
    if (longest < 0) assert.fail(`after write ${last} the state is that of no prefix: ${difference(this.#stateAfter(last), found)}`)
    assert.ok(longest >= least, `found the first ${longest} of ${this.#writes.length} writes, but ${least} were acknowledged`)
    this.#writes.length = longest
    for (const index of absent) if (index < longest) this.#writes[index] = { kind: 'batch', operations: [] }
    this.#failed.clear()
    return longest
  }

  /** The longest prefix, without some writes, that gives this state: up to `last` or beyond it to `end`; -1 if none does. */
  #longest(found: ReadonlyMap<string, string>, last: number, end: number, left: ReadonlySet<number>): number {
    const model = new Model()
    let longest = last < 0 && found.size === 0 ? 0 : -1
    for (let i = 0; i < end; i++) {
      if (left.has(i)) continue
      this.#apply(model, i)
      if (i >= last && isSame(model, found)) longest = i + 1
    }
    return longest
  }

  #leavesMark(index: number): boolean {
    const write = this.#writes[index]!
    return write.kind === 'batch' && write.operations.length > 0
  }

  #stateAfter(index: number): Model {
    const model = new Model()
    for (let i = 0; i <= index; i++) this.#apply(model, i)
    return model
  }

  #apply(model: Model, index: number): void {
    const write = this.#writes[index]!
    if (write.kind === 'range') {
      model.deleteRange({ gte: write.gte, lt: write.lt })
      return
    }
    for (const operation of write.operations) {
      if (operation.type === 'put') model.put(operation.key, operation.value)
      else model.del(operation.key)
    }
  }
}

function keyOf(number: number): string {
  return `k${String(number).padStart(2, '0')}`
}

function isSame(model: Model, found: ReadonlyMap<string, string>): boolean {
  if (model.size !== found.size) return false
  for (const [key, value] of found) if (model.get(key) !== value) return false
  return true
}

function difference(model: Model, found: ReadonlyMap<string, string>): string {
  const keys = new Set([...model.read().map(([key]) => key), ...found.keys()])
  const lines = [...keys].filter(key => model.get(key) !== found.get(key)).map(key =>
    `${key}: expected ${outline(model.get(key))}, found ${outline(found.get(key))}`)
  return lines.join('; ')
}

function outline(value: string | undefined): string {
  return value === undefined ? 'nothing' : `${value.length} characters from "${value.slice(0, 8)}"`
}

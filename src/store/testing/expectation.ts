/**
 * What one store may hold while writes are under way.
 *
 * Writes take effect in the order of their calls. One that was acknowledged is there, one that was refused is not, one that is
 * pending may be, and one that is doubtful (its disk failed in the middle) may be, as a whole.
 *
 * Cost: a check walks all writes since the last `adopt` or `fold`.
 */
import assert from 'node:assert/strict'
import { compare, isInside } from './model.ts'
import type { ModelRange } from './model.ts'

export type Outcome = 'pending' | 'done' | 'refused' | 'doubtful'

/** One call: keys and what they have afterwards (undefined = nothing), or a range whose keys go. */
export interface Attempt {
  readonly name: string
  readonly effects: ReadonlyMap<string, string | undefined>
  readonly range: ModelRange | undefined
  outcome: Outcome
}

type Values = Set<string | undefined>

export class Expectation {
  #base = new Map<string, string>()
  #attempts: Attempt[] = []

  /** A write that is being called now. */
  add(name: string, effects: ReadonlyMap<string, string | undefined>, range?: ModelRange): Attempt {
    const attempt: Attempt = { name, effects, range, outcome: 'pending' }
    this.#attempts.push(attempt)
    return attempt
  }

  /** Nothing is pending or in doubt: there is one possible content. */
  get isExact(): boolean {
    return this.#attempts.every(({ outcome }) => outcome === 'done' || outcome === 'refused')
  }

  /** All of it, in the order of keys; only while `isExact`. */
  exact(): [string, string][] {
    assert.ok(this.isExact)
    this.fold()
    return [...this.#base].sort(([a], [b]) => compare(a, b))
  }

  /** Forget the beginning of the history that can no longer change. */
  fold(): void {
    let settled = 0
    for (const attempt of this.#attempts) {
      if (attempt.outcome === 'pending' || attempt.outcome === 'doubtful') break
      if (attempt.outcome === 'done') {
        for (const key of keysOf(attempt, this.#base.keys())) set(this.#base, key, attempt.effects.get(key))
      }
      settled++
    }
    this.#attempts.splice(0, settled)
  }

  /** Fails unless the key may have this value now. */
  checkValue(key: string, found: string | undefined): void {
    const values: Values = new Set([this.#base.get(key)])
    for (const attempt of this.#attempts) if (touches(attempt, key)) apply(attempt, values, key)
    this.#checkOne(key, found, values)
  }

  /** Fails unless these may be all entries now. */
  checkAll(entries: readonly (readonly [string, string])[]): void {
    const found = new Map(entries)
    assert.equal(found.size, entries.length, 'a key comes twice')
    for (let i = 1; i < entries.length; i++) assert.ok(compare(entries[i - 1]![0], entries[i]![0]) < 0, `${entries[i]![0]} is not in its place`)
    const allowed = this.#allowed()
    for (const [key, value] of found) this.#checkOne(key, value, allowed.get(key) ?? new Set([undefined]))
    for (const [key, values] of allowed) if (!found.has(key)) this.#checkOne(key, undefined, values)
  }

  /** `checkAll`, then expect the state that was found. Nothing may be pending. */
  adopt(entries: readonly (readonly [string, string])[]): void {
    for (const { outcome, name } of this.#attempts) assert.notEqual(outcome, 'pending', `${name} has never settled`)
    this.checkAll(entries)
    this.#checkWhole(new Map(entries))
    this.#base = new Map(entries)
    this.#attempts = []
  }

  /** Of a write in doubt all is there or nothing, as far as later writes let it be seen. */
  #checkWhole(found: ReadonlyMap<string, string>): void {
    this.#attempts.forEach((attempt, at) => {
      if (attempt.outcome !== 'doubtful') return
      const later = this.#attempts.slice(at + 1).filter(({ outcome }) => outcome !== 'refused')
      const seen = new Set<boolean>()
      for (const [key, value] of attempt.effects) {
        if (value !== undefined && !later.some(other => touches(other, key))) seen.add(found.get(key) === value)
      }
      assert.ok(seen.size < 2, `${attempt.name} is there in part`)
    })
  }

  #allowed(): Map<string, Values> {
    const allowed = new Map<string, Values>()
    for (const [key, value] of this.#base) allowed.set(key, new Set([value]))
    for (const attempt of this.#attempts) {
      for (const key of keysOf(attempt, allowed.keys())) {
        let values = allowed.get(key)
        if (values === undefined) allowed.set(key, values = new Set([undefined]))
        apply(attempt, values, key)
      }
    }
    return allowed
  }

  #checkOne(key: string, found: string | undefined, values: Values): void {
    if (values.has(found)) return
    const history = this.#attempts.filter(attempt => touches(attempt, key)).map(({ name, outcome }) => `${name} ${outcome}`)
    assert.fail(`key ${key}: found ${outline(found)}, expected ${[...values].map(outline).join(' or ')}; its writes: ${history.slice(-8).join(', ')}`)
  }
}

function touches({ effects, range }: Attempt, key: string): boolean {
  return effects.has(key) || (range !== undefined && isInside(key, range))
}

/** The keys it changes, of those that are there and its own. */
function keysOf({ effects, range }: Attempt, there: Iterable<string>): Iterable<string> {
  return range === undefined ? effects.keys() : [...there].filter(key => isInside(key, range))
}

function apply({ effects, outcome }: Attempt, values: Values, key: string): void {
  if (outcome === 'refused') return
  if (outcome === 'done') values.clear()
  values.add(effects.get(key))
}

function set(map: Map<string, string>, key: string, value: string | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

export function outline(value: string | undefined): string {
  return value === undefined ? 'nothing' : `${value.length} characters from ${JSON.stringify(value.slice(0, 10))}`
}

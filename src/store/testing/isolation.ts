/**
 * What snapshot isolation allows, on plain maps: the states of a store after each commit, what its transactions see, and whether
 * their commits must fail.
 */
import { Model, isInside } from './model.ts'
import type { ModelRange } from './model.ts'

/** A point write or the removal of a range, by the commit that brought it. */
type Change = { commit: number, key: string } | { commit: number, range: ModelRange }

export type Verdict = 'commits' | 'conflicts' | 'either'

export class IsolationModel {
  /** After the latest commit. */
  state = new Model()
  commits = 0
  readonly #changes: Change[] = []

  begin(): TransactionModel {
    return new TransactionModel(this, this.state.copy(), this.commits)
  }

  /** A write of no transaction. */
  write(change: (state: Model) => void, keys: readonly string[], ranges: readonly ModelRange[]): void {
    this.commits++
    change(this.state)
    for (const key of keys) this.#changes.push({ commit: this.commits, key })
    for (const range of ranges) this.#changes.push({ commit: this.commits, range })
  }

  changesSince(commit: number): Change[] {
    return this.#changes.filter(change => change.commit > commit)
  }
}

export class TransactionModel {
  /** What it sees. */
  readonly view: Model
  readonly #store: IsolationModel
  readonly #since: number
  readonly #reads = new Set<string>()
  readonly #writes: ({ key: string, value: string | undefined } | { range: ModelRange, removed: string[] })[] = []

  constructor(store: IsolationModel, view: Model, since: number) {
    this.#store = store
    this.view = view
    this.#since = since
  }

  put(key: string, value: string): void {
    this.view.put(key, value)
    this.#writes.push({ key, value })
  }

  del(key: string): void {
    this.view.del(key)
    this.#writes.push({ key, value: undefined })
  }

  /** A range without an end goes to the last key that is seen. */
  deleteRange(range: ModelRange): void {
    let bounded = range
    if (range.lt === undefined && range.lte === undefined) {
      const last = this.view.read().at(-1)
      if (last === undefined) return
      bounded = { ...range, lte: last[0] }
    }
    this.#writes.push({ range: bounded, removed: this.view.read(bounded).map(([key]) => key) })
    this.view.deleteRange(bounded)
  }

  read(key: string): void { this.#reads.add(key) }

  verdict(): Verdict {
    if (this.#writes.length === 0) return 'commits'
    const changes = this.#store.changesSince(this.#since)
    const points = new Set(this.#reads)
    for (const write of this.#writes) if ('key' in write) points.add(write.key)
    let verdict: Verdict = 'commits'
    for (const change of changes) {
      if ('range' in change) {
        for (const key of points) {
          if (!isInside(key, change.range)) continue
          // Both removed it: what it had written before may have left no trace.
          const isGone = !this.#reads.has(key) && this.#writes.some(write => 'range' in write && isInside(key, write.range))
          if (!isGone) return 'conflicts'
          verdict = 'either'
        }
        continue
      }
      if (points.has(change.key)) return 'conflicts'
      for (const write of this.#writes) {
        if (!('range' in write) || !isInside(change.key, write.range)) continue
        // A write that was itself removed by a range may have left no trace.
        const isErased = changes.some(other => other.commit >= change.commit && 'range' in other && isInside(change.key, other.range))
        if (!isErased) return 'conflicts'
        verdict = 'either'
      }
    }
    return verdict
  }

  commit(): void {
    if (this.#writes.length === 0) return
    const keys: string[] = []
    const ranges: ModelRange[] = []
    for (const write of this.#writes) {
      if ('key' in write) keys.push(write.key)
      else ranges.push(write.range)
    }
    this.#store.write(state => {
      for (const write of this.#writes) {
        if ('range' in write) state.deleteRange(write.range)
        else if (write.value === undefined) state.del(write.key)
        else state.put(write.key, write.value)
      }
    }, keys, ranges)
  }
}

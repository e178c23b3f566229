/** What a store should hold: a plain map, read in the order of the keys' bytes. */
import type { OrderOptions } from '../api/options.ts'

export type ModelRange = OrderOptions

export class Model {
  readonly #entries: Map<string, string>

  constructor(entries: Iterable<readonly [string, string]> = []) {
    this.#entries = new Map(entries)
  }

  get size(): number { return this.#entries.size }

  get(key: string): string | undefined { return this.#entries.get(key) }

  put(key: string, value: string): void { this.#entries.set(key, value) }

  del(key: string): void { this.#entries.delete(key) }

  deleteRange(range: ModelRange): void {
    for (const key of [...this.#entries.keys()]) if (isInside(key, range)) this.#entries.delete(key)
  }

  copy(): Model { return new Model(this.#entries) }

  read(range: ModelRange = {}): [string, string][] {
    const found = [...this.#entries].filter(([key]) => isInside(key, range)).sort((a, b) => compare(a[0], b[0]))
    if (range.reverse === true) found.reverse()
    return range.limit === undefined || range.limit < 0 ? found : found.slice(0, range.limit)
  }
}

export function isInside(key: string, { gt, gte, lt, lte }: ModelRange): boolean {
  return (gt === undefined || compare(key, gt) > 0) && (gte === undefined || compare(key, gte) >= 0) &&
    (lt === undefined || compare(key, lt) < 0) && (lte === undefined || compare(key, lte) <= 0)
}

/** By UTF-8 bytes, which is not how JavaScript compares strings. */
export function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

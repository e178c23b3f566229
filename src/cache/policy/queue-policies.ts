/** LRU and FIFO: one list; a found entry becomes the newest, or stays. Memory: 8 bytes an entry. */
import { EntryLists } from './entry-lists.ts'
import { NONE } from './policy.ts'
import type { EvictionPolicy } from './policy.ts'

export class Fifo implements EvictionPolicy {
  readonly name: 'fifo' | 'lru' = 'fifo'
  protected readonly lists = new EntryLists(1)

  insert(entry: number): void {
    this.lists.append(0, entry)
  }

  touch(_entry: number): void {}

  remove(entry: number): void {
    this.lists.remove(0, entry)
  }

  evict(): number {
    const entry = this.lists.oldest[0]!
    if (entry !== NONE) this.lists.remove(0, entry)
    return entry
  }

  grow(capacity: number): void {
    this.lists.grow(capacity)
  }

  clear(): void {
    this.lists.clear()
  }
}

export class Lru extends Fifo {
  override readonly name = 'lru'

  override touch(entry: number): void {
    const { lists } = this
    if (lists.newest[0] === entry) return
    lists.remove(0, entry)
    lists.append(0, entry)
  }
}

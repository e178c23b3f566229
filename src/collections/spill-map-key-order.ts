/** Entries in key order: one tree, key -> value. A set of a new key is one write, no look-up. */
import type { Hit } from '../base/cursor.ts'
import { ofKey } from '../encoding/encoding-error.ts'
import { ScratchStore } from '../store/scratch/scratch-store.ts'
import { Entries } from './spill-map-entries.ts'
import type { EntriesOptions, Want } from './spill-map-entries.ts'

export class KeyOrderEntries extends Entries {
  readonly order = 'key'
  readonly tree: ScratchStore

  constructor(options: EntriesOptions) {
    super(options)
    this.tree = new ScratchStore(options)
    this.makeFilter(this.tree)
  }

  has(key: unknown): boolean { return this.#find(key) !== undefined }

  get(key: unknown): unknown {
    const hit = this.#find(key)
    if (hit === undefined) return undefined
    try {
      return this.tree.decode(this.values, hit.kind, hit.value, hit.valueStart, hit.valueEnd)
    } catch (error) {
      throw ofKey(error, 'value', key)
    }
  }

  set(key: unknown, value: unknown, keepsExisting: boolean): void {
    const { key: k, value: v } = this
    try {
      const mayBeThere = this.load(key)
      const { hash } = this
      this.loadValue(key, value)
      const isNew = !mayBeThere || this.tree.find(k.bytes, k.start, k.end) === undefined
      if (keepsExisting && !isNew) return
      this.tree.put(k.bytes, k.start, k.end, v.bytes, v.start, v.end, v.longText)
      if (isNew) {
        this.filter.add(hash)
        this.size++
        this.added++
      }
      this.changed++
    } finally {
      this.releaseForeign()
    }
  }

  delete(key: unknown): boolean {
    if (this.#find(key) === undefined) return false
    const { key: k } = this
    this.tree.del(k.bytes, k.start, k.end)
    this.size--
    this.changed++
    return true
  }

  clear(): void {
    this.tree.clear()
    this.filter.clear()
    this.size = 0
    this.changed++
    this.added++
  }

  close(): void {
    this.filter.close()
    this.tree.close()
  }

  isEntry(): boolean { return true }

  protected keyAt(place: Uint8Array): unknown { return this.keys.decode(place, 0, place.length) }

  protected read(want: Want, place: Uint8Array, placeStart: number, placeEnd: number, kind: number, value: Uint8Array, start: number, end: number): unknown {
    if (want === 'key') return this.keys.decode(place, placeStart, placeEnd)
    const decoded = this.tree.decode(this.values, kind, value, start, end)
    return want === 'value' ? decoded : [this.keys.decode(place, placeStart, placeEnd), decoded]
  }

  #find(key: unknown): Hit | undefined {
    const { key: k } = this
    return this.load(key) ? this.tree.find(k.bytes, k.start, k.end) : undefined
  }
}

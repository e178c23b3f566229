// Keys and values for a timed loop, made beforehand as far as they can be: a ring of Buffers in one piece of memory. Filling a slot
// writes the 16 bytes of the key and the 4 of the value that say which row it is; it allocates nothing and costs the same for every
// store. A slot is used again after as many operations as the ring has slots: far more than are ever under way at once.
import { KEY_BYTES, mix, valueOf } from '../memory/rows.mjs'

const RING_BYTES = 16 * 2 ** 20
const MAX_SLOTS = 65536

export class RowPool {
  keys
  values
  #mask
  #valueBytes
  #keyView
  #valueView

  constructor(valueBytes) {
    const slots = Math.min(2 ** Math.floor(Math.log2(RING_BYTES / valueBytes)), MAX_SLOTS)
    const keyMemory = new ArrayBuffer(slots * KEY_BYTES)
    const valueMemory = new ArrayBuffer(slots * valueBytes)
    this.#mask = slots - 1
    this.#valueBytes = valueBytes
    this.#keyView = new DataView(keyMemory)
    this.#valueView = new DataView(valueMemory)
    this.keys = Array.from({ length: slots }, (_, slot) => Buffer.from(keyMemory, slot * KEY_BYTES, KEY_BYTES))
    this.values = Array.from({ length: slots }, (_, slot) => Buffer.from(valueMemory, slot * valueBytes, valueBytes))
    for (let slot = 0; slot < slots; slot++) valueOf(slot, valueBytes).copy(this.values[slot])
  }

  /** The slot of operation n, its key now that of row i. */
  fillKey(n, i) {
    const slot = n & this.#mask
    const at = slot * KEY_BYTES
    const view = this.#keyView
    view.setUint32(at, mix(i ^ 0x9e3779b9))
    view.setUint32(at + 4, mix(i + 0x7f4a7c15))
    view.setUint32(at + 8, i)
    view.setUint32(at + 12, mix(i + 0x3c6ef372))
    return slot
  }

  /** The slot of operation n, key and value now those of row i. */
  fill(n, i) {
    const slot = this.fillKey(n, i)
    this.#valueView.setUint32(slot * this.#valueBytes, i, true)
    return slot
  }
}

/** Operations for batches: one array of objects that is filled again for every batch. */
export class Batches {
  #operations
  #pool

  constructor(pool, size) {
    this.#pool = pool
    this.#operations = Array.from({ length: size }, () => ({ type: 'put', key: pool.keys[0], value: pool.values[0] }))
  }

  /** Puts of rows first, first + 1, ...; holds until the next call. */
  puts(first, count) {
    const { keys, values } = this.#pool
    const operations = count === this.#operations.length ? this.#operations : this.#operations.slice(0, count)
    for (let at = 0; at < count; at++) {
      const slot = this.#pool.fill(first + at, first + at)
      operations[at].key = keys[slot]
      operations[at].value = values[slot]
    }
    return operations
  }
}

/** Throws when a value is not that of row i: its length, and the row it says it is. */
export function checkRow(i, value, valueBytes) {
  if (value === undefined) throw new Error(`row ${i} is lost`)
  if (value.length !== valueBytes || (value[0] | value[1] << 8 | value[2] << 16 | value[3] << 24) !== (i | 0)) {
    throw new Error(`row ${i} has a wrong value of ${value.length} bytes`)
  }
}

/** For an entry of a scan: the row is in its key. */
export function checkEntry(key, value, valueBytes) {
  checkRow(key[8] << 24 | key[9] << 16 | key[10] << 8 | key[11], value, valueBytes)
}

/**
 * Which keys a collection surely does not have: asked before tables are, because most sets are of new keys, and each run of tables
 * would have to be asked for each.
 *
 * Invariants
 * 1. It never says no to a key that was added.
 * 2. All layers together stay below the limit. Beyond it the last one is filled on, and when it says yes to nearly everything it is given up:
 *    then every key is looked up.
 *
 * A Bloom filter in 64-byte lines, in layers that grow four times each, so that it needs no keys to grow. Deleted keys stay in it.
 * Account: the one given. Cost: a line of memory per layer, 6 bits a key in it; 10 bits of memory a key, 5 layers at most.
 */
import type { Account, Lease } from '../memory/budget.ts'

const FIRST_BYTES = 64 * 1024
const GROWTH = 4
const BITS_PER_KEY = 10
/** So many times as many keys as it is made for, and a layer is worth nothing. */
const OVERFULL = 4

interface Layer {
  words: Int32Array
  lines: number
  lease: Lease
}

export class KeyFilter {
  readonly #account: Account
  readonly #limitBytes: number
  readonly #leaveBytes: number
  /** The newest first. */
  #layers: Layer[] = []
  #keys = 0
  #capacity = 0
  #isOff = false

  /** `leaveBytes`: what it leaves to others when it grows. */
  constructor(account: Account, limitBytes: number, leaveBytes: number) {
    this.#account = account
    this.#limitBytes = limitBytes
    this.#leaveBytes = leaveBytes
  }

  get bytes(): number { return this.#layers.reduce((bytes, { words }) => bytes + words.byteLength, 0) }
  get isOff(): boolean { return this.#isOff }

  /** False: no key with this hash was added. */
  mayHave(hash: number): boolean {
    if (this.#isOff) return true
    const layers = this.#layers
    const mix = remix(hash)
    const again = remix(mix)
    for (let i = 0; i < layers.length; i++) {
      const { words, lines } = layers[i]!
      const line = Math.floor(hash * lines / 0x1_0000_0000) << 4
      if ((words[line + (mix >>> 28)]! & (1 << ((mix >>> 23) & 31))) !== 0
        && (words[line + ((mix >>> 19) & 15)]! & (1 << ((mix >>> 14) & 31))) !== 0
        && (words[line + ((mix >>> 10) & 15)]! & (1 << ((mix >>> 5) & 31))) !== 0
        && (words[line + (again >>> 28)]! & (1 << ((again >>> 23) & 31))) !== 0
        && (words[line + ((again >>> 19) & 15)]! & (1 << ((again >>> 14) & 31))) !== 0
        && (words[line + ((again >>> 10) & 15)]! & (1 << ((again >>> 5) & 31))) !== 0) return true
    }
    return false
  }

  add(hash: number): void {
    if (this.#isOff || (this.#keys >= this.#capacity && !this.#grow())) return
    this.#keys++
    const { words, lines } = this.#layers[0]!
    const mix = remix(hash)
    const again = remix(mix)
    const line = Math.floor(hash * lines / 0x1_0000_0000) << 4
    words[line + (mix >>> 28)]! |= 1 << ((mix >>> 23) & 31)
    words[line + ((mix >>> 19) & 15)]! |= 1 << ((mix >>> 14) & 31)
    words[line + ((mix >>> 10) & 15)]! |= 1 << ((mix >>> 5) & 31)
    words[line + (again >>> 28)]! |= 1 << ((again >>> 23) & 31)
    words[line + ((again >>> 19) & 15)]! |= 1 << ((again >>> 14) & 31)
    words[line + ((again >>> 10) & 15)]! |= 1 << ((again >>> 5) & 31)
  }

  /** Forget all keys. */
  clear(): void {
    this.#release()
    this.#isOff = false
  }

  close(): void {
    this.#release()
    this.#isOff = true
  }

  /** The layer is full: a further one, or more keys in this one; false: given up. */
  #grow(): boolean {
    const current = this.#layers[0]
    const left = this.#limitBytes - this.bytes
    const wanted = current === undefined ? Math.min(FIRST_BYTES, left) : Math.min(current.words.byteLength * GROWTH, left)
    // A rest too small to matter is not worth a layer.
    const bytes = Math.floor(wanted / 64) * 64
    const lease = bytes < (current?.words.byteLength ?? 64) ? undefined : this.#account.tryLeaseLeaving(bytes, this.#leaveBytes)
    if (lease !== undefined) {
      this.#layers.unshift({ words: new Int32Array(bytes / 4), lines: bytes / 64, lease })
      this.#keys = 0
      this.#capacity = Math.floor(bytes * 8 / BITS_PER_KEY)
      return true
    }
    const most = current === undefined ? 0 : current.words.byteLength * 8 / BITS_PER_KEY * OVERFULL
    if (this.#capacity < most) {
      // Memory may be there later: it is asked for again after a while.
      this.#capacity = Math.min(most, this.#capacity + Math.max(1, Math.floor(most / OVERFULL / 4)))
      return true
    }
    this.#release()
    this.#isOff = true
    return false
  }

  #release(): void {
    for (const { lease } of this.#layers) lease.release()
    this.#layers = []
    this.#keys = 0
    this.#capacity = 0
  }
}

function remix(mix: number): number {
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return mix ^ (mix >>> 16)
}

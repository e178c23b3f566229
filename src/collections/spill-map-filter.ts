/**
 * Filter of new keys: without it each set of a new key would look into every run. No false negatives.
 *
 * A Bloom filter of 64-byte lines in layers that grow by four, so that growing needs no keys. Deleted keys stay in it. At the limit
 * the last layer is overfilled, and finally the filter is off: every key is looked up.
 * Cost: a cache line per layer, 6 bits a key set; 10 bits of memory a key, at most 5 layers.
 */
import type { Account, Lease } from '../memory/budget.ts'

const FIRST_BYTES = 64 * 1024
const GROWTH = 4
const BITS_PER_KEY = 10
/** Beyond this multiple of its keys a layer is useless. */
const MAX_OVERFILL = 4

interface Layer {
  words: Int32Array
  lines: number
  lease: Lease
}

export class KeyFilter {
  readonly #account: Account
  readonly #limitBytes: number
  readonly #leaveBytes: number
  #layers: Layer[] = []
  #keys = 0
  #capacity = 0
  #isOff = false

  /** `leaveBytes`: left free. */
  constructor(account: Account, limitBytes: number, leaveBytes: number) {
    this.#account = account
    this.#limitBytes = limitBytes
    this.#leaveBytes = leaveBytes
  }

  get bytes(): number { return this.#layers.reduce((bytes, { words }) => bytes + words.byteLength, 0) }
  get isOff(): boolean { return this.#isOff }

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

  clear(): void {
    this.#release()
    this.#isOff = false
  }

  close(): void {
    this.#release()
    this.#isOff = true
  }

  /** Add a layer or overfill this one. False when off. */
  #grow(): boolean {
    const current = this.#layers[0]
    const left = this.#limitBytes - this.bytes
    const wanted = current === undefined ? Math.min(FIRST_BYTES, left) : Math.min(current.words.byteLength * GROWTH, left)
    const bytes = Math.floor(wanted / 64) * 64
    const lease = bytes < (current?.words.byteLength ?? 64) ? undefined : this.#account.tryLeaseLeaving(bytes, this.#leaveBytes)
    if (lease !== undefined) {
      this.#layers.unshift({ words: new Int32Array(bytes / 4), lines: bytes / 64, lease })
      this.#keys = 0
      this.#capacity = Math.floor(bytes * 8 / BITS_PER_KEY)
      return true
    }
    const maxKeys = current === undefined ? 0 : current.words.byteLength * 8 / BITS_PER_KEY * MAX_OVERFILL
    if (this.#capacity < maxKeys) {
      // Try again later.
      this.#capacity = Math.min(maxKeys, this.#capacity + Math.max(1, Math.floor(maxKeys / MAX_OVERFILL / 4)))
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

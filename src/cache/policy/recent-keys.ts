/**
 * Hashes of recently evicted keys, in two generations: when the younger is full it becomes the older, whose hashes are forgotten.
 *
 * Memory: 8 bytes for each key remembered. A hash may be forgotten early, when another takes its place.
 */
export class RecentKeys {
  #now = new Int32Array(0)
  #before = new Int32Array(0)
  #mask = 0
  #count = 0
  #limit = 0

  /** Remember about `keys` keys, a power of two. What was remembered is forgotten. */
  resize(keys: number): void {
    this.#now = new Int32Array(keys)
    this.#before = new Int32Array(keys)
    this.#mask = keys - 1
    this.#limit = keys >>> 1
    this.#count = 0
  }

  add(hash: number): void {
    if (this.#count >= this.#limit) {
      const older = this.#before
      this.#before = this.#now
      this.#now = older.fill(0)
      this.#count = 0
    }
    this.#now[hash & this.#mask] = hash | 1
    this.#count++
  }

  /** Whether a key was evicted recently; it is forgotten. */
  take(hash: number): boolean {
    const at = hash & this.#mask
    const wanted = hash | 1
    if (this.#now[at] === wanted) this.#now[at] = 0
    else if (this.#before[at] === wanted) this.#before[at] = 0
    else return false
    return true
  }
}

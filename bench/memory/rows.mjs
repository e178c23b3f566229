// Rows that can be checked without remembering them: key and value of row i are functions of i.
//
// A key has 16 bytes: two hashes of i (so keys come in random order), i itself (so they are unique) and a third hash.
// A value begins with i, is random up to its half and the same letters from there, so that it compresses to about a half.

export const KEY_BYTES = 16

const fillers = new Map()

function fillerOf(valueBytes) {
  let filler = fillers.get(valueBytes)
  if (filler === undefined) fillers.set(valueBytes, filler = Buffer.alloc(valueBytes, 'spillway '))
  return filler
}

export function mix(number) {
  let hash = number | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** Small whole numbers in an order that is the same in every run. */
export class Random {
  #state

  constructor(seed) {
    this.#state = mix(seed) || 1
  }

  /** From 0 to below `bound`. */
  below(bound) {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return (state >>> 0) % bound
  }
}

export function keyOf(i) {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  key.writeUInt32BE(mix(i ^ 0x9e3779b9), 0)
  key.writeUInt32BE(mix(i + 0x7f4a7c15), 4)
  key.writeUInt32BE(i, 8)
  key.writeUInt32BE(mix(i + 0x3c6ef372), 12)
  return key
}

export function valueOf(i, valueBytes) {
  const value = Buffer.from(fillerOf(valueBytes))
  value.writeUInt32LE(i, 0)
  let state = mix(i + 1) || 1
  for (let at = 4; at + 4 <= valueBytes / 2; at += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    value.writeInt32LE(state, at)
  }
  return value
}

export function putsOf(first, count, valueBytes) {
  const operations = new Array(count)
  for (let i = 0; i < count; i++) operations[i] = { type: 'put', key: keyOf(first + i), value: valueOf(first + i, valueBytes) }
  return operations
}

/** Throws when a value is not that of row i. */
export function checkValue(i, value, valueBytes) {
  if (value === undefined) throw new Error(`row ${i} is lost`)
  if (!valueOf(i, valueBytes).equals(value)) throw new Error(`row ${i} has a wrong value of ${value.length} bytes`)
}

/** The cheaper check for scans: the number of the row; throws when key and value are not of one and the same row. */
export function checkPair(key, value, valueBytes) {
  const i = key.readUInt32BE(8)
  if (key.readUInt32BE(0) !== mix(i ^ 0x9e3779b9) || value.length !== valueBytes || value.readUInt32LE(0) !== i) {
    throw new Error(`key ${key.toString('hex')} came with a value of ${value.length} bytes that is not its own`)
  }
  return i
}

/** Gets some of the first `rows` rows and checks them; a store that holds nothing is only asked. */
export async function checkSome(db, rows, count, valueBytes, random, holdsNothing) {
  for (let n = 0; n < count && rows > 0; n++) {
    const i = random.below(rows)
    const value = await db.get(keyOf(i))
    if (!holdsNothing) checkValue(i, value, valueBytes)
  }
}

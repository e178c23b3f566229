/**
 * A trigram index in the store, two kinds of entries:
 *   'n' + id                  -> the name                        (id: 4 bytes, big-endian)
 *   't' + trigram + first id  -> the ids after the first one, as differences in varints   (trigram: 3 bytes)
 * A trigram is three neighbouring bytes of the lower-cased name. Ids grow, so the chunks of a trigram lie in the store in the
 * order of their ids, and a query reads them with one range scan.
 */

const ID_LIMIT = 2 ** 29
/** A posting while it waits: trigram * ID_LIMIT + id, which a double holds exactly. */
const BUFFER_POSTINGS = 512 * 1024
const BATCH_OPERATIONS = 1000
const BATCH_BYTES = 256 * 1024

export const POSTING_BUFFER_BYTES = BUFFER_POSTINGS * 8

export function nameKey(id) {
  const key = Buffer.allocUnsafe(5)
  key[0] = 0x6e
  key.writeUInt32BE(id, 1)
  return key
}

function postingKey(trigram, firstId) {
  const key = Buffer.allocUnsafe(8)
  key[0] = 0x74
  key.writeUIntBE(trigram, 1, 3)
  key.writeUInt32BE(firstId, 4)
  return key
}

/** Trigrams of a text, each once, ascending. */
export function trigramsOf(text) {
  const bytes = Buffer.from(text.toLowerCase())
  const trigrams = new Set()
  for (let i = 0; i + 2 < bytes.length; i++) trigrams.add(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2])
  return [...trigrams].sort((a, b) => a - b)
}

export class IndexBuilder {
  #db
  #postings = new Float64Array(BUFFER_POSTINGS)
  #used = 0
  #scratch = Buffer.allocUnsafe(4096)
  #batch = []
  #batchBytes = 0
  names = 0
  postings = 0
  chunks = 0

  constructor(db) {
    this.#db = db
  }

  async add(name) {
    const id = this.names++
    if (id >= ID_LIMIT) throw new Error(`more than ${ID_LIMIT} names`)
    await this.#put(nameKey(id), Buffer.from(name))
    const lower = name.toLowerCase()
    if (this.#scratch.length < lower.length * 3) this.#scratch = Buffer.allocUnsafe(lower.length * 3)
    const length = this.#scratch.write(lower)
    if (this.#used + length > BUFFER_POSTINGS) await this.#drain()
    const bytes = this.#scratch
    for (let i = 0; i + 2 < length; i++) this.#postings[this.#used++] = (bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]) * ID_LIMIT + id
  }

  async finish() {
    await this.#drain()
    await this.#write()
  }

  /** Sort what waits and write one chunk for each trigram. */
  async #drain() {
    const postings = this.#postings.subarray(0, this.#used).sort()
    let ids = Buffer.allocUnsafe(64 * 1024)
    for (let i = 0; i < postings.length;) {
      const trigram = Math.floor(postings[i] / ID_LIMIT)
      const base = trigram * ID_LIMIT
      const firstId = postings[i] - base
      let lastId = firstId
      let used = 0
      this.postings++
      for (i++; i < postings.length && postings[i] < base + ID_LIMIT; i++) {
        const id = postings[i] - base
        if (id === lastId) continue // a trigram that the name has twice
        if (used + 5 > ids.length) ids = Buffer.concat([ids, Buffer.allocUnsafe(ids.length)])
        let difference = id - lastId
        for (; difference > 127; difference >>>= 7) ids[used++] = difference & 127 | 128
        ids[used++] = difference
        lastId = id
        this.postings++
      }
      this.chunks++
      await this.#put(postingKey(trigram, firstId), Buffer.from(ids.subarray(0, used)))
    }
    this.#used = 0
  }

  /** A promise only when a batch is full. */
  #put(key, value) {
    this.#batch.push({ type: 'put', key, value })
    this.#batchBytes += key.length + value.length
    return this.#batch.length >= BATCH_OPERATIONS || this.#batchBytes >= BATCH_BYTES ? this.#write() : undefined
  }

  async #write() {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    await this.#db.batch(batch)
  }
}

/** Ids of the names that hold `text`, upper or lower case, ascending; and the first few names. */
export async function search(db, text, show = 3) {
  const wanted = text.toLowerCase()
  const trigrams = trigramsOf(wanted)
  if (trigrams.length === 0) throw new Error(`${JSON.stringify(text)} is too short: a search needs at least three bytes`)
  let candidates
  for (const trigram of trigrams) {
    candidates = await intersect(db, trigram, candidates)
    if (candidates.length === 0) break
  }

  // A name may have all the trigrams, but apart: look.
  const found = []
  const examples = []
  for (let from = 0; from < candidates.length; from += 500) {
    const ids = candidates.slice(from, from + 500)
    const names = await db.getMany(ids.map(nameKey))
    for (let i = 0; i < ids.length; i++) {
      const name = names[i].toString()
      if (!name.toLowerCase().includes(wanted)) continue
      found.push(ids[i])
      if (examples.length < show) examples.push(name)
    }
  }
  return { ids: found, candidates: candidates.length, examples }
}

/** The ids of a trigram that are in `candidates` (undefined = all). Chunk by chunk: never holds the trigram's whole list besides. */
async function intersect(db, trigram, candidates) {
  const kept = []
  let at = 0
  const take = id => {
    if (candidates === undefined) {
      kept.push(id)
      return
    }
    while (at < candidates.length && candidates[at] < id) at++
    if (candidates[at] === id) kept.push(id)
  }
  const iterator = db.iterator({ gte: postingKey(trigram, 0), lt: postingKey(trigram, 0xffffffff) })
  try {
    for (let chunk = await iterator.nextv(64); chunk.length > 0; chunk = await iterator.nextv(64)) {
      for (const [key, value] of chunk) {
        let id = key.readUInt32BE(4)
        take(id)
        for (let i = 0; i < value.length;) {
          let difference = 0
          for (let shift = 0; ; shift += 7) {
            const byte = value[i++]
            difference |= (byte & 127) << shift
            if (byte < 128) break
          }
          id += difference
          take(id)
        }
      }
    }
  } finally {
    await iterator.close()
  }
  return kept
}

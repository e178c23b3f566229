/**
 * The input: names.json of the development dependency all-the-package-names, a JSON array of some millions of strings.
 * Read as a stream of chunks: never more than one chunk and one string in memory.
 */
import { createReadStream, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const CHUNK_BYTES = 256 * 1024
const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Longest string taken for one: more means that the file is something else. */
const MAX_STRING_BYTES = 1 << 20

/** Path and size of the file. */
export function findNames() {
  try {
    const path = fileURLToPath(import.meta.resolve('all-the-package-names/names.json'))
    return { path, bytes: statSync(path).size }
  } catch (error) {
    throw new Error('the development dependency all-the-package-names is not installed: run "npm ci" first', { cause: error })
  }
}

/**
 * Names in file order, in arrays of one chunk each: { names, doneBytes }.
 * `share`: about how many names to take, evenly spread over the bytes of the file; Infinity = all.
 */
export async function *readNames({ path, bytes }, share = Infinity) {
  const parser = new StringArrayParser()
  let doneBytes = 0
  let taken = 0
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const names = []
    parser.push(chunk, (name, endOffset) => {
      // Each name that comes after the next of `share` equal steps through the file.
      if (share !== Infinity && Math.floor(endOffset / bytes * share) <= taken) return
      taken++
      names.push(name)
    })
    doneBytes += chunk.length
    yield { names, doneBytes }
  }
  parser.end()
}

/** A JSON array of strings, chunk by chunk. Anything else is an error that names the offset. */
export class StringArrayParser {
  /** What may come next outside a string. */
  #expects = 'start' // start, first, comma, string, nothing
  #offset = 0
  /** Inside a string: its bytes so far, from the chunks before. */
  #held = []
  #heldBytes = 0
  #inString = false
  #escaped = false
  #hasEscapes = false

  /** Calls `take(text, offset behind its closing quote)` for each string that ends in this chunk. */
  push(chunk, take) {
    let at = 0
    while (at < chunk.length) {
      if (!this.#inString) {
        this.#outside(chunk[at], at)
        at++
        continue
      }
      const from = at
      let closed = false
      for (; at < chunk.length; at++) {
        const byte = chunk[at]
        if (this.#escaped) this.#escaped = false
        else if (byte === BACKSLASH) {
          this.#escaped = true
          this.#hasEscapes = true
        } else if (byte === QUOTE) {
          closed = true
          break
        } else if (byte < 0x20) this.#fail(at, 'a control character in a string')
      }
      if (!closed) {
        this.#hold(chunk.subarray(from, at))
        break
      }
      const raw = this.#heldBytes === 0 ? chunk.subarray(from, at) : this.#joined(chunk.subarray(from, at))
      at++
      take(this.#hasEscapes ? this.#unescape(raw, at) : raw.toString('utf8'), this.#offset + at)
      this.#inString = false
    }
    this.#offset += chunk.length
  }

  end() {
    if (this.#expects !== 'nothing') this.#fail(0, 'the array does not end')
  }

  #outside(byte, at) {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return
    const expects = this.#expects
    if (byte === QUOTE && (expects === 'first' || expects === 'string')) {
      this.#inString = true
      this.#hasEscapes = false
      this.#expects = 'comma'
    } else if (byte === 0x2c && expects === 'comma') this.#expects = 'string'
    else if (byte === 0x5d && (expects === 'comma' || expects === 'first')) this.#expects = 'nothing'
    else if (byte === 0x5b && expects === 'start') this.#expects = 'first'
    else this.#fail(at, `${JSON.stringify(String.fromCharCode(byte))} where there should be an array of strings`)
  }

  #hold(bytes) {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > MAX_STRING_BYTES) this.#fail(0, `a string of more than ${MAX_STRING_BYTES} bytes`)
  }

  #joined(last) {
    const bytes = Buffer.concat([...this.#held, last])
    this.#held = []
    this.#heldBytes = 0
    return bytes
  }

  #unescape(raw, at) {
    try {
      return JSON.parse(`"${raw.toString('utf8')}"`)
    } catch (error) {
      return this.#fail(at, error.message)
    }
  }

  #fail(at, what) {
    throw new Error(`names.json at offset ${this.#offset + at}: ${what}`)
  }
}

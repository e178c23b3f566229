/**
 * Text as the bytes of a value file, piece by piece, in both directions.
 *
 * Invariants
 * 1. The bytes are those of `Buffer.from(text)`: surrogate pairs are never split, lone surrogates become U+FFFD.
 * 2. The text is that of decoding all bytes at once, also for invalid UTF-8 and a leading U+FEFF.
 *
 * Memory: none of its own. Cost: one pass.
 */

/** Free bytes a piece needs after it for encoding, before it for decoding. */
export const TEXT_SLACK_BYTES = 3

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class TextEncoding {
  readonly #text: string
  /** UTF-16 units taken so far. */
  #at = 0
  /** Rest of the character that crossed the end of the last piece. */
  readonly #rest = new Uint8Array(TEXT_SLACK_BYTES)
  #restLength = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Put the next `length` bytes at memory[start]; fewer only at the end. Overwrites up to `TEXT_SLACK_BYTES` after them. */
  fill(memory: Uint8Array, start: number, length: number): number {
    const text = this.#text
    const end = start + length
    let at = start
    for (let i = 0; i < this.#restLength; i++) memory[at++] = this.#rest[i]!
    this.#restLength = 0
    while (at < end && this.#at < text.length) {
      // Only as much as may fit: the cost of a call grows with its text.
      let to = Math.min(text.length, this.#at + Math.max(2, end - at))
      if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to--
      const { read, written } = encoder.encodeInto(text.slice(this.#at, to), memory.subarray(at, end + TEXT_SLACK_BYTES))
      this.#at += read
      at += written
    }
    if (at <= end) return at - start
    for (let i = end; i < at; i++) this.#rest[this.#restLength++] = memory[i]!
    return length
  }
}

export class TextDecoding {
  /** Decoded so far. */
  text = ''
  #carried = 0

  /**
   * Take the next bytes, memory[start, start + length). An unfinished character is kept before `start`, where the next piece must
   * be put; overwrites up to `TEXT_SLACK_BYTES` there.
   */
  take(memory: Uint8Array, start: number, length: number, isLast: boolean): void {
    const from = start - this.#carried
    const end = start + length
    const to = isLast ? end : end - unfinishedBytes(memory, from, end)
    this.text += decoder.decode(memory.subarray(from, to))
    this.#carried = end - to
    memory.copyWithin(start - this.#carried, to, end)
  }
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800
}

/** Bytes at the end that begin an unfinished character. Cutting before them does not change how they are decoded. */
function unfinishedBytes(memory: Uint8Array, start: number, end: number): number {
  for (let back = 1; back <= TEXT_SLACK_BYTES && end - back >= start; back++) {
    const byte = memory[end - back]!
    if ((byte & 0xc0) === 0x80) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return needed > back ? back : 0
  }
  return 0
}

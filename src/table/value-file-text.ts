/**
 * Text as the bytes of a value file, piece by piece: never the UTF-8 of all of it at once. The writing and the reading half.
 *
 * 1. The bytes are those of `Buffer.from(text)`: a pair of surrogates is never torn apart, a lone one becomes U+FFFD.
 * 2. The text is that of decoding all bytes at once, also where they are no valid UTF-8, and also when they begin with U+FEFF.
 *
 * Memory: none of its own; works in the piece the caller gives it and a few bytes beside it. Cost: one pass.
 */

/** Bytes a piece must have free behind it when text is encoded, and before it when text is decoded. */
export const TEXT_SLACK_BYTES = 3

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class TextEncoding {
  readonly #text: string
  /** Characters (UTF-16 units) taken so far. */
  #at = 0
  /** What is left of the character that crossed the end of the last piece. */
  readonly #rest = new Uint8Array(TEXT_SLACK_BYTES)
  #restLength = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Put the next `length` bytes at memory[start]; fewer only at the end. Up to `TEXT_SLACK_BYTES` behind them are overwritten. */
  fill(memory: Uint8Array, start: number, length: number): number {
    const text = this.#text
    const end = start + length
    let at = start
    for (let i = 0; i < this.#restLength; i++) memory[at++] = this.#rest[i]!
    this.#restLength = 0
    while (at < end && this.#at < text.length) {
      // No more than might fit: the cost of a call grows with the length of the text it is given.
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
  /** What was decoded so far. */
  text = ''
  #carried = 0

  /**
   * The next bytes, memory[start, start + length). Those of an unfinished character are kept before `start`, where the next piece
   * must be put: up to `TEXT_SLACK_BYTES` there are overwritten.
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

/** How many bytes at the end begin a character that may go on. Cutting before what begins one changes nothing in how it is decoded. */
function unfinishedBytes(memory: Uint8Array, start: number, end: number): number {
  for (let back = 1; back <= TEXT_SLACK_BYTES && end - back >= start; back++) {
    const byte = memory[end - back]!
    if ((byte & 0xc0) === 0x80) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return needed > back ? back : 0
  }
  return 0
}

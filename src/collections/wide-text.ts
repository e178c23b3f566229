/**
 * UTF-8 extended to ill-formed text: a lone surrogate takes three bytes (ed a0 80 to ed bf bf), which UTF-8 leaves unused.
 * Different texts have different bytes, in code point order.
 */

const REPLACEMENT = '\ufffd'

export function maxTextBytes(text: string): number { return 3 * text.length }

/** Write at `at`, where `maxTextBytes` must be free. Returns the end. */
export function writeText(text: string, bytes: Buffer, at: number): number {
  const end = at + bytes.write(text, at, 'utf8')
  if (end - at === text.length || text.isWellFormed()) return end
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i)!
    if (code < 0x80) bytes[at++] = code
    else if (code < 0x800) {
      bytes[at++] = 0xc0 | code >>> 6
      bytes[at++] = 0x80 | code & 0x3f
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | code >>> 12
      bytes[at++] = 0x80 | code >>> 6 & 0x3f
      bytes[at++] = 0x80 | code & 0x3f
    } else {
      bytes[at++] = 0xf0 | code >>> 18
      bytes[at++] = 0x80 | code >>> 12 & 0x3f
      bytes[at++] = 0x80 | code >>> 6 & 0x3f
      bytes[at++] = 0x80 | code & 0x3f
      i++
    }
  }
  return at
}

/** `decoded`: the same bytes decoded as UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number, decoded: string): string {
  if (!decoded.includes(REPLACEMENT)) return decoded
  let text = ''
  let from = start
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let i = start; i + 2 < end; i++) {
    // 'ed' is always a first byte.
    if (bytes[i] !== 0xed || bytes[i + 1]! < 0xa0) continue
    text += buffer.toString('utf8', from, i) + String.fromCharCode(0xd000 | (bytes[i + 1]! & 0x3f) << 6 | bytes[i + 2]! & 0x3f)
    i += 2
    from = i + 1
  }
  return from === start ? decoded : text + buffer.toString('utf8', from, end)
}

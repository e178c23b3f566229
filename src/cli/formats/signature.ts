/**
 * File signatures. Import checks them, because compressed files and UTF-16 look like rows to every reader; writers of arbitrary
 * bytes refuse to begin a file with one.
 */

export interface Signature {
  /** For messages: "a gzip file". */
  name: string
  kind: 'gzip' | 'zstd' | 'utf-16le' | 'utf-16be' | 'utf-8' | 'other'
  bytes: Uint8Array
}

function signature(kind: Signature['kind'], name: string, ...bytes: (number | string)[]): Signature {
  return { kind, name, bytes: Buffer.concat(bytes.map(part => typeof part === 'number' ? Buffer.of(part) : Buffer.from(part, 'latin1'))) }
}

/** A longer one precedes its prefix. */
const SIGNATURES: readonly Signature[] = [
  signature('utf-8', 'text with a byte order mark, which is dropped', 0xef, 0xbb, 0xbf),
  signature('other', 'UTF-32', 0xff, 0xfe, 0, 0),
  signature('other', 'UTF-32', 0, 0, 0xfe, 0xff),
  signature('utf-16le', 'UTF-16', 0xff, 0xfe),
  signature('utf-16be', 'UTF-16', 0xfe, 0xff),
  signature('gzip', 'a gzip file', 0x1f, 0x8b, 0x08),
  signature('zstd', 'a zstd file', 0x28, 0xb5, 0x2f, 0xfd),
  signature('other', 'an xz file', 0xfd, '7zXZ', 0),
  signature('other', 'a 7z archive', '7z', 0xbc, 0xaf, 0x27, 0x1c),
  signature('other', 'a zip archive', 'PK', 3, 4),
  signature('other', 'a zip archive', 'PK', 5, 6),
  signature('other', 'an lz4 file', 0x04, 0x22, 0x4d, 0x18),
  signature('other', 'an lzip file', 'LZIP', 1),
  signature('other', 'a snappy file', 0xff, 0x06, 0, 0, 'sNaPpY'),
  signature('other', 'a compress file', 0x1f, 0x9d),
  ...[...'123456789'].map(level => signature('other', 'a bzip2 file', `BZh${level}1AY&SY`)),
]

export const SIGNATURE_BYTES: number = Math.max(...SIGNATURES.map(({ bytes }) => bytes.length))

/** `byteOrderMark`: include that of UTF-8. */
export function signatureOf(first: Uint8Array, byteOrderMark = true): Signature | undefined {
  return SIGNATURES.find(({ bytes, kind }) => (byteOrderMark || kind !== 'utf-8') && startsWith(first, bytes, bytes.length))
}

/** Further bytes may complete or change a signature. */
export function mayBecomeSignature(first: Uint8Array): boolean {
  return SIGNATURES.some(({ bytes }) => first.length < bytes.length && startsWith(bytes, first, first.length))
}

function startsWith(bytes: Uint8Array, other: Uint8Array, length: number): boolean {
  if (bytes.length < length) return false
  for (let i = 0; i < length; i++) if (bytes[i] !== other[i]) return false
  return true
}

/** Footer of a table. Layout: FORMAT.md, Footer. */
import { readU16, readU32, readU48, writeU16, writeU32, writeU48 } from './little-endian.ts'

export const FOOTER_BYTES = 56
/** Bytes before the checksum. */
export const FOOTER_BODY_BYTES = 48
export const FORMAT_VERSION = 1
/** "SPILLTB" and a non-ASCII byte. */
const MAGIC: readonly number[] = [0x53, 0x50, 0x49, 0x4c, 0x4c, 0x54, 0x42, 0xf1]

export interface Footer {
  rangesOffset: number
  rangesBytes: number
  rootOffset: number
  rootBytes: number
  propertiesOffset: number
  propertiesBytes: number
  fileBytes: number
  fileNumber: number
}

export function encodeFooter(target: Uint8Array, at: number, footer: Footer): void {
  writeU32(target, at, footer.rangesOffset)
  writeU32(target, at + 4, footer.rangesBytes)
  writeU32(target, at + 8, footer.rootOffset)
  writeU32(target, at + 12, footer.rootBytes)
  writeU32(target, at + 16, footer.propertiesOffset)
  writeU32(target, at + 20, footer.propertiesBytes)
  writeU32(target, at + 24, footer.fileBytes)
  writeU48(target, at + 28, footer.fileNumber)
  writeU16(target, at + 34, FORMAT_VERSION)
  writeU32(target, at + 36, 0)
  for (let i = 0; i < MAGIC.length; i++) target[at + 40 + i] = MAGIC[i]!
}

export function hasMagic(bytes: Uint8Array, at: number): boolean {
  return MAGIC.every((byte, i) => bytes[at + 40 + i] === byte)
}

export function formatVersion(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + 34)
}

export function decodeFooter(bytes: Uint8Array, at: number): Footer {
  return {
    rangesOffset: readU32(bytes, at), rangesBytes: readU32(bytes, at + 4),
    rootOffset: readU32(bytes, at + 8), rootBytes: readU32(bytes, at + 12),
    propertiesOffset: readU32(bytes, at + 16), propertiesBytes: readU32(bytes, at + 20),
    fileBytes: readU32(bytes, at + 24), fileNumber: readU48(bytes, at + 28),
  }
}

/**
 * A blocked Bloom filter: each key sets its bits within one 64-byte line, so that a test touches one line.
 *
 *     0  u8   BLOCK_FILTER
 *     1  u8   bits set per key (3, 6 or 9)
 *     2  u16  0
 *     4  u32  lines
 *     8  lines of 64 bytes
 *
 * The high bits of the key's hash choose the line, remixed hashes the bits: three of nine bits each from one mix.
 *
 * Invariant: never says no to a key that was added. Cost: one multiplication per three bits; about 1 % false positives at 10 bits a key.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { BLOCK_FILTER } from '../format.ts'
import { readU32, writeU32 } from '../little-endian.ts'

export const FILTER_HEADER_BYTES = 8
export const LINE_BYTES = 64
const LINE_BITS = LINE_BYTES * 8

export function filterMayContain(bytes: Uint8Array, start: number, hash: number): boolean {
  const probes = bytes[start + 1]!
  const line = lineAt(start, readU32(bytes, start + 4), hash)
  let mix = hash
  for (let i = 0; i < probes; i += 3) {
    mix = remix(mix)
    if ((bytes[line + (mix >>> 26)]! & (1 << ((mix >>> 23) & 7))) === 0) return false
    if ((bytes[line + ((mix >>> 17) & 63)]! & (1 << ((mix >>> 14) & 7))) === 0) return false
    if ((bytes[line + ((mix >>> 8) & 63)]! & (1 << ((mix >>> 5) & 7))) === 0) return false
  }
  return true
}

/** Writes a filter over hashes[0, count) into region a; returns its end. Uses region b. */
export function encodeFilter(kernels: Kernels, hashes: Uint32Array, count: number, bitsPerKey: number): number {
  const { memory, a, b } = kernels
  const lines = filterLines(count, bitsPerKey)
  const probes = filterProbes(bitsPerKey)
  const end = a + FILTER_HEADER_BYTES + lines * LINE_BYTES
  memory.fill(0, a, end)
  memory[a] = BLOCK_FILTER
  memory[a + 1] = probes
  writeU32(memory, a + 4, lines)
  memory.set(new Uint8Array(hashes.buffer, hashes.byteOffset, 4 * count), b)
  kernels.fillFilter(b, count, a + FILTER_HEADER_BYTES, lines, probes)
  return end
}

/** Bits set for each key, and lines. */
export function filterShape(bytes: Uint8Array, start: number): { probes: number, lines: number } {
  return { probes: bytes[start + 1]!, lines: readU32(bytes, start + 4) }
}

export function filterProblem(bytes: Uint8Array, start: number, end: number): string | undefined {
  const size = end - start
  if (size < FILTER_HEADER_BYTES + LINE_BYTES) return `a filter of ${size} bytes`
  const probes = bytes[start + 1]!
  if (probes !== 3 && probes !== 6 && probes !== 9) return `a filter of ${probes} bits a key`
  const lines = readU32(bytes, start + 4)
  if (FILTER_HEADER_BYTES + lines * LINE_BYTES !== size) return `a filter of ${size} bytes should hold ${lines} lines`
  return undefined
}

export function filterLines(count: number, bitsPerKey: number): number {
  return Math.max(1, Math.ceil((count * bitsPerKey) / LINE_BITS))
}

/** About ln 2 times the bits per key, in threes. */
export function filterProbes(bitsPerKey: number): number {
  if (bitsPerKey < 7) return 3
  return bitsPerKey < 14 ? 6 : 9
}

function lineAt(start: number, lines: number, hash: number): number {
  return start + FILTER_HEADER_BYTES + Math.floor((hash * lines) / 0x1_0000_0000) * LINE_BYTES
}

function remix(mix: number): number {
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35)
  return mix
}

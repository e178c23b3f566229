/**
 * Packed rows as JavaScript values.
 *
 * Invariant: the values share no memory with the kernels. Keys of one chunk share pieces of at most PIECE_BYTES, and so do its
 * values, like Buffers cut from Node's pool; anything larger than half a piece is separate. Text of one chunk shares pieces of
 * TEXT_PIECE_BYTES.
 *
 * Cost: two objects a row and one for the pair; one allocation and one copy a piece.
 */
import { ROW_STEP } from '../../kernels/scan-kernel.ts'
import type { Column, ScanKernel } from '../../kernels/scan-kernel.ts'
import type { Host } from '../../host/host.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import { youngArray, youngPair } from '../../base/v8/unpretenured-arrays.ts'

const PIECE_BYTES = 8192
/** A substring keeps its whole parent string alive, which users do not expect, so these are small. */
const TEXT_PIECE_BYTES = 1024

/** The internal class of Buffers; `new` costs half of `Buffer.from`. */
const FastBuffer = (Buffer as unknown as { [Symbol.species]?: unknown })[Symbol.species]
type MakeBuffer = new (buffer: ArrayBuffer, offset: number, length: number) => Buffer
const hasFastBuffer = typeof FastBuffer === 'function' && FastBuffer.prototype === Buffer.prototype
const Piece: MakeBuffer = hasFastBuffer ? FastBuffer as MakeBuffer : function (buffer: ArrayBuffer, offset: number, length: number) {
  return Buffer.from(buffer, offset, length)
} as unknown as MakeBuffer

/** Longer text is slower to decode in pieces, see `encoding.ts`. */
const LONG_TEXT_BYTES = 2048
type Slice = (this: Uint8Array, start: number, end: number) => string
const { latin1Slice, utf8Slice } = Buffer.prototype as unknown as { latin1Slice: Slice, utf8Slice: Slice }

/** The rows a scan left, as an array of pairs, keys or values. */
export function takeRows(kernel: ScanKernel, keys: Transcoder | undefined, values: Transcoder | undefined, host: Host): unknown[] {
  const rows = kernel.rows
  if (values === undefined) return takeColumn(kernel, kernel.keys, keys!, rows, host)
  const column = takeColumn(kernel, kernel.values, values, rows, host)
  if (keys === undefined) return column
  const first = takeColumn(kernel, kernel.keys, keys, rows, host)
  for (let i = 0; i < rows; i++) column[i] = youngPair(first[i], column[i])
  return column
}

function takeColumn(kernel: ScanKernel, column: Column, transcoder: Transcoder, rows: number, host: Host): unknown[] {
  const { memory, words } = kernel
  switch (transcoder.packed) {
    case 'buffer': return buffers(memory, words, column, rows, host)
    case 'text': return texts(memory, words, column, transcoder, rows)
    default: return each(memory, words, column, transcoder, rows)
  }
}

function buffers(memory: Uint8Array, words: Uint32Array, { at, ends }: Column, rows: number, host: Host): unknown[] {
  const taken = youngArray(rows)
  let i = 0
  let from = 0
  while (i < rows) {
    let to = words[ends + i * ROW_STEP]!
    let next = i + 1
    if (to - from <= PIECE_BYTES / 2) {
      for (; next < rows; next++) {
        const end = words[ends + next * ROW_STEP]!
        if (end - from > PIECE_BYTES || end - to > PIECE_BYTES / 2) break
        to = end
      }
    }
    const piece = new ArrayBuffer(to - from)
    new Uint8Array(piece).set(memory.subarray(at + from, at + to))
    if (next > i + 1) host.forbidTransfer(piece)
    let start = 0
    for (; i < next; i++) {
      const end = words[ends + i * ROW_STEP]! - from
      taken[i] = new Piece(piece, start, end - start)
      start = end
    }
    from = to
  }
  return taken
}

/** ASCII: one string per piece, sliced into rows. Other text row by row. */
function texts(memory: Uint8Array, words: Uint32Array, column: Column, transcoder: Transcoder, rows: number): unknown[] {
  const { at, ends } = column
  const taken = youngArray(rows)
  let i = 0
  if (!column.isAscii) {
    for (let start = at; i < rows; i++) {
      const end = at + words[ends + i * ROW_STEP]!
      taken[i] = end - start < LONG_TEXT_BYTES ? utf8Slice.call(memory, start, end) : transcoder.decode(memory, start, end)
      start = end
    }
    return taken
  }
  let from = 0
  while (i < rows) {
    let to = words[ends + i * ROW_STEP]!
    let next = i + 1
    if (to - from <= TEXT_PIECE_BYTES / 2) {
      for (; next < rows; next++) {
        const end = words[ends + next * ROW_STEP]!
        if (end - from > TEXT_PIECE_BYTES || end - to > TEXT_PIECE_BYTES / 2) break
        to = end
      }
    }
    const piece = latin1Slice.call(memory, at + from, at + to)
    let start = 0
    for (; i < next; i++) {
      const end = words[ends + i * ROW_STEP]! - from
      taken[i] = piece.substring(start, end)
      start = end
    }
    from = to
  }
  return taken
}

function each(memory: Uint8Array, words: Uint32Array, { at, ends }: Column, transcoder: Transcoder, rows: number): unknown[] {
  const taken = youngArray(rows)
  let from = at
  for (let i = 0; i < rows; i++) {
    const end = at + words[ends + i * ROW_STEP]!
    taken[i] = transcoder.decode(memory, from, end)
    from = end
  }
  return taken
}

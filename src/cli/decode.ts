/**
 * Decodes an input to UTF-8: unpacks gzip and zstd, converts UTF-16 with a byte order mark, refuses other known formats. Only the
 * first bytes decide, never the file name. Memory: one or two chunks.
 */
import { pipeline } from 'node:stream'
import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import { CommandError } from './errors.ts'
import { mayBecomeSignature, signatureOf } from './formats/signature.ts'

type Chunks = AsyncIterable<Uint8Array>

/** `name`: for errors. Throws CommandError UNREADABLE_INPUT. */
export async function *decoded(input: Chunks, name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { first, rest } = await peek(input)
  const kind = signatureOf(first)?.kind
  if (kind !== 'gzip' && kind !== 'zstd') {
    yield* asText(first, rest, name)
    return
  }
  const inner = await peek(unpacked(rest, kind, name, signal))
  yield* asText(inner.first, inner.rest, name)
}

async function *asText(first: Uint8Array, chunks: Chunks, name: string): AsyncGenerator<Uint8Array> {
  const found = signatureOf(first)
  if (found === undefined || found.kind === 'utf-8') yield* chunks
  else if (found.kind === 'utf-16le' || found.kind === 'utf-16be') yield* fromUtf16(chunks, found.kind === 'utf-16be', name)
  else throw unreadable(name, `this is ${found.name}, which is not supported. Convert or unpack it first, e.g. into a pipe: spillway import reads stdin`)
}

/** Returns the first bytes, enough for a signature, and all chunks. */
async function peek(chunks: Chunks): Promise<{ first: Uint8Array, rest: Chunks }> {
  const iterator = chunks[Symbol.asyncIterator]()
  let first: Uint8Array = new Uint8Array(0)
  for (;;) {
    const next = await iterator.next()
    if (next.done === true) break
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value])
    if (!mayBecomeSignature(first)) break
  }
  return { first, rest: following(first, iterator) }
}

async function *following(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  yield* { [Symbol.asyncIterator]: () => iterator }
}

async function *unpacked(chunks: Chunks, kind: 'gzip' | 'zstd', name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const engine = kind === 'gzip' ? zlib.createGunzip() : zstdEngine(name)
  let fed = 0
  const feed = async function *(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      fed += chunk.length
      yield chunk
    }
  }
  // Reading the engine reports its errors.
  pipeline(feed, engine, () => {})
  try {
    for await (const chunk of engine) yield chunk as Uint8Array
  } catch (error) {
    const { code, message } = error as { code?: unknown, message: string }
    if (signal.aborted) return
    if (typeof code !== 'string' || !/^Z(STD)?_/.test(code)) throw error
    throw unreadable(name, `the ${kind} file is damaged or truncated: ${message}. The part before it is imported`)
  } finally {
    engine.destroy()
  }
  const { bytesWritten } = engine as Transform & { bytesWritten: number }
  if (bytesWritten < fed && !signal.aborted) {
    throw unreadable(name, `the ${kind} file has other data after its end. The part before it is imported. Unpack it first: spillway import reads stdin`)
  }
}

function zstdEngine(name: string): Transform {
  // Missing in the oldest supported Node.js.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform }
  if (createZstdDecompress !== undefined) return createZstdDecompress()
  throw unreadable(name, `this is a zstd file, which Node.js ${process.version} cannot unpack. Unpack it first: zstd -dc FILE | spillway import DIR`)
}

/** TextDecoder is not strict in a Node.js without ICU. */
async function *fromUtf16(chunks: Chunks, isBigEndian: boolean, name: string): AsyncGenerator<Uint8Array> {
  /** Up to three bytes of an incomplete character. */
  let held: Uint8Array = new Uint8Array(0)
  let isStart = true
  const convert = (bytes: Buffer): Buffer => {
    const text = bytes.toString('utf16le')
    if (!text.isWellFormed()) throw unreadable(name, 'it begins as UTF-16, but has half of a surrogate pair')
    const from = isStart && text.startsWith('\ufeff') ? 1 : 0
    isStart = false
    return Buffer.from(text.slice(from), 'utf8')
  }
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([held, chunk])
    let end = bytes.length & ~1
    const lastHigh = isBigEndian ? end - 2 : end - 1
    if (end > 0 && (bytes[lastHigh]! & 0xfc) === 0xd8) end -= 2
    held = bytes.subarray(end)
    if (end > 0) yield convert(isBigEndian ? bytes.subarray(0, end).swap16() : bytes.subarray(0, end))
  }
  if (held.length > 0) throw unreadable(name, 'it begins as UTF-16, but ends inside a character')
}

function unreadable(name: string, message: string): CommandError {
  return new CommandError('UNREADABLE_INPUT', `${name}: ${message}`, { file: name })
}

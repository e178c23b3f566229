import { constants, createReadStream, openSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { Socket } from 'node:net'
import { isatty, ReadStream as TerminalStream } from 'node:tty'
import { CommandError } from './errors.ts'
import type { InputStream, Io } from './io.ts'

const CHUNK_BYTES = 64 * 1024

export interface Input {
  /** File name, or "stdin". */
  name: string
  /** Undefined for a pipe. */
  bytes: number | undefined
  open(): InputStream
}

/** '-' or no name = stdin. Throws for a missing file or a directory. */
export function inputsOf(names: readonly string[], io: Io): Input[] {
  return (names.length === 0 ? ['-'] : names).map(name => {
    if (name === '-') return { name: 'stdin', bytes: io.stdinBytes(), open: () => io.stdin }
    const stat = statSync(name)
    if (stat.isDirectory()) throw new CommandError('IS_DIRECTORY', `${name} is a directory, not a file of records`, { file: name })
    return { name, bytes: stat.isFile() ? stat.size : undefined, open: () => openFile(name, stat) }
  })
}

/**
 * A pipe or terminal may never deliver data. A file stream would wait in a thread, which keeps even an ending process; these wait
 * in the event loop.
 */
function openFile(name: string, stat: Stats): InputStream {
  if (stat.isFIFO()) {
    const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK)
    return new Socket({ fd, readable: true, writable: false })
  }
  if (stat.isCharacterDevice()) {
    const fd = openSync(name, 'r')
    return isatty(fd) ? new TerminalStream(fd) : createReadStream(name, { fd, highWaterMark: CHUNK_BYTES })
  }
  return createReadStream(name, { highWaterMark: CHUNK_BYTES })
}

/** `read` is called with each size. */
export async function *chunksOf(input: Input, signal: AbortSignal, read?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  if (signal.aborted) return
  const stream = input.open()
  const stop = (): void => stream.destroy()
  signal.addEventListener('abort', stop)
  try {
    for await (const chunk of stream) {
      read?.(chunk.length)
      yield chunk
      if (signal.aborted) return
    }
  } catch (error) {
    // Destroying a stream makes its iteration fail.
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}

/** Undefined above `maxBytes`. */
export async function readAll(stream: InputStream, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

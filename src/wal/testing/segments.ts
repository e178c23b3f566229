/** Log segments for tests: written through a LogWriter to simulated files, read back as lists of texts. */
import { Buffer } from 'node:buffer'
import { Kernels } from '../../kernels/kernels.ts'
import type { HostFile } from '../../host/host.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES, SEGMENT_HEADER_BYTES, paddedLength, readU32, readU64 } from '../frame.ts'
import { LOG_READ_BUFFER_BYTES, readLog } from '../log-reader.ts'
import type { LogContents } from '../log-reader.ts'
import { LogWriter } from '../log-writer.ts'

export const FILE_NUMBER = 5
export const BOOT = 'boot-1'
export const KERNELS: Kernels = new Kernels(MAX_FRAME_BYTES)

export interface Operation {
  kind: number
  key: Uint8Array
  value: Uint8Array
}

export function operation(key: string, value = '', kind = 1): Operation {
  return { kind, key: Buffer.from(key, 'latin1'), value: Buffer.from(value, 'latin1') }
}

/** Long keys and values by their length and first byte, which is enough to tell those of a test apart. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  return end - start > 64 ? `${end - start} x ${bytes[start]}` : Buffer.from(bytes.subarray(start, end)).toString('latin1')
}

export function textOf(seq: number, { kind, key, value }: Operation): string {
  return `${seq}/${kind} ${shown(key, 0, key.length)}=${shown(value, 0, value.length)}`
}

export function textsOf(firstSeq: number, operations: readonly Operation[]): string[] {
  return operations.map((each, i) => textOf(firstSeq + i, each))
}

/** A visitor that collects texts. */
export function collector(): { texts: string[], visit: Parameters<LogWriter['commit']>[1] } {
  const texts: string[] = []
  return {
    texts,
    visit(seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) {
      texts.push(`${seq}/${kind} ${shown(bytes, keyStart, keyEnd)}=${shown(bytes, valueStart, valueEnd)}`)
    },
  }
}

export function appendTo(log: LogWriter, { kind, key, value }: Operation): boolean {
  return log.append(kind, key, 0, key.length, value, 0, value.length)
}

export interface SegmentOptions {
  host?: SimHost
  fileNumber?: number
  mountId?: string
  firstSeq?: number
  bufferBytes?: number
  wrap?: (file: HostFile) => HostFile
}

export interface OpenSegment {
  host: SimHost
  path: string
  file: HostFile
  log: LogWriter
}

export function quietHost(seed = 1): SimHost {
  const host = new SimHost({ seed })
  host.disk.isLogging = false
  return host
}

export function newSegment(options: SegmentOptions = {}): OpenSegment {
  const { host = quietHost(), fileNumber = FILE_NUMBER, mountId = BOOT, firstSeq = 1, bufferBytes = 64 * 1024, wrap } = options
  const path = `/${fileNumber}.log`
  const created = host.files.create(path)
  const file = wrap === undefined ? created : wrap(created)
  return { host, path, file, log: new LogWriter(file, fileNumber, new Uint8Array(bufferBytes), KERNELS, mountId, firstSeq) }
}

/** Append a group and end it; `spillAfter`: the numbers of operations after which it is spilled. Returns what was visited. */
export function writeGroup(log: LogWriter, operations: readonly Operation[], spillAfter: readonly number[] = [], write = true): string[] {
  const { texts, visit } = collector()
  for (let i = 0; i < operations.length; i++) {
    if (!appendTo(log, operations[i]!)) throw new Error(`operation ${i} does not fit`)
    if (spillAfter.includes(i + 1)) log.spill()
  }
  log.commit(write, visit)
  return texts
}

export interface ReadOptions {
  fileNumber?: number
  mountId?: string
  expectedSeq?: number | undefined
  latestFirstSeq?: number
}

export interface ReadSegment extends LogContents {
  texts: string[]
}

const buffer = new Uint8Array(LOG_READ_BUFFER_BYTES)

/** Read what is in these bytes. */
export function readBytes(bytes: Uint8Array, options: ReadOptions = {}): ReadSegment {
  const file = quietHost().files.create('/read.log')
  file.writeSync(bytes, 0, bytes.length, 0)
  return readFile(file, options)
}

export function readFile(file: HostFile, options: ReadOptions = {}): ReadSegment {
  const { fileNumber = FILE_NUMBER, mountId = BOOT, expectedSeq, latestFirstSeq } = options
  const { texts, visit } = collector()
  // Of an earlier reading nothing may be taken for content.
  buffer.fill(0xa5)
  return { ...readLog(file, fileNumber, buffer, KERNELS, mountId, expectedSeq, visit, latestFirstSeq), texts }
}

export interface FramePlace {
  start: number
  end: number
  firstSeq: number
  syncedBytes: number
  operations: number
  continues: boolean
}

/** The frames of an undamaged segment. */
export function framesOf(bytes: Uint8Array): FramePlace[] {
  const frames: FramePlace[] = []
  for (let start = SEGMENT_HEADER_BYTES; start + FRAME_HEADER_BYTES <= bytes.length;) {
    const end = start + paddedLength(readU32(bytes, start + 4))
    frames.push({
      start, end, firstSeq: readU64(bytes, start + 16), syncedBytes: readU64(bytes, start + 24),
      operations: readU32(bytes, start + 32), continues: readU32(bytes, start + 36) === 1,
    })
    start = end
  }
  return frames
}

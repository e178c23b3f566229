/** Dumps a log segment, frame by frame. The bytes between a bad frame and the next good one are reported and skipped. */
import type { Kernels } from '../../kernels/kernels.ts'
import type { HostFile } from '../../host/host.ts'
import { FLAG_CONTINUES, FRAME_HEADER_BYTES, LOG_FORMAT, SEGMENT_HEADER_BYTES, paddedLength, readU32, readU64 } from '../../wal/frame.ts'
import { FAULT_CUT, findFrame, frameFault, visitOperation } from '../../wal/frame-reader.ts'
import { isZero, readSegmentHeader } from '../../wal/log-reader.ts'
import { operationOf } from './operation.ts'
import { damageFrom, damageRecord } from './record.ts'
import type { DumpRecord, DumpRecords } from './record.ts'

export function *logRecords(file: HostFile, number: number, buffer: Uint8Array, kernels: Kernels): DumpRecords {
  const size = file.size()
  yield* headerRecords(file, number, size, buffer, kernels)
  let offset = SEGMENT_HEADER_BYTES
  let nextSeq: number | undefined
  let continues = false
  while (offset < size) {
    const fault = frameFault(file, number, offset, size, buffer, kernels)
    if (fault !== '') {
      const good = findFrame(file, number, offset, size, buffer, kernels, -1)
      // Leaves another frame in the buffer.
      const isVouched = good >= 0 && findFrame(file, number, offset, size, buffer, kernels, offset) >= 0
      yield badFrame(file, offset, good, isVouched, size, fault, buffer)
      if (good < 0) break
      offset = good
      // The missing operations are reported already.
      nextSeq = undefined
      continue
    }
    const bytes = paddedLength(readU32(buffer, 4))
    const firstSeq = readU64(buffer, 16)
    const operations = readU32(buffer, 32)
    continues = (readU32(buffer, 36) & FLAG_CONTINUES) !== 0
    if (nextSeq !== undefined && firstSeq !== nextSeq) {
      yield { type: 'damage', offset, message: `this frame begins with sequence number ${firstSeq}, expected ${nextSeq}: something before it is missing` }
    }
    nextSeq = firstSeq + operations
    yield { type: 'frame', offset, bytes, firstSeq, lastSeq: nextSeq - 1, operations, syncedBytes: readU64(buffer, 24), continues }
    yield* operationRecords(buffer, firstSeq, operations)
    offset += bytes
  }
  if (continues) yield { type: 'note', message: 'the last batch is incomplete, so none of it counts' }
}

function *headerRecords(file: HostFile, number: number, bytes: number, buffer: Uint8Array, kernels: Kernels): DumpRecords {
  let header: ReturnType<typeof readSegmentHeader>
  const damage = damageFrom(() => { header = readSegmentHeader(file, number, bytes, buffer, kernels) })
  if (header === undefined) {
    yield { type: 'log', file: file.path, number, bytes }
    yield damage === undefined ? { type: 'note', offset: 0, message: 'the header is unfinished: the segment holds nothing yet' } : damageRecord(damage)
    return
  }
  yield { type: 'log', file: file.path, number, bytes, format: LOG_FORMAT, mountHash: hex(header.mountHigh) + hex(header.mountLow) }
}

function *operationRecords(buffer: Uint8Array, firstSeq: number, operations: number): DumpRecords {
  let at = FRAME_HEADER_BYTES
  let record: DumpRecord | undefined
  for (let i = 0; i < operations; i++) {
    at = visitOperation(buffer, at, firstSeq + i, (seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      record = { type: 'operation', ...operationOf(seq, kind, bytes.slice(keyStart, keyEnd), bytes, valueStart, valueEnd) }
    })
    yield record!
  }
}

/** `good`: offset of the next good frame; -1: none. `isVouched`: a later frame says that this place was durable. */
function badFrame(file: HostFile, offset: number, good: number, isVouched: boolean, size: number, fault: string, buffer: Uint8Array): DumpRecord {
  if (good >= 0) {
    const durable = isVouched ? 'a later frame says that this was durable' : 'no later frame says that this was durable, so the system may have lost it'
    return { type: 'damage', offset, message: `${fault}; ${good - offset} bytes, then a good frame at ${good}; ${durable}` }
  }
  const bytes = size - offset
  if (isZero(file, offset, size, buffer)) return { type: 'note', offset, message: `${bytes} bytes of zeros, which a writer puts ahead of itself` }
  if (fault === FAULT_CUT) return { type: 'note', offset, message: `the last ${bytes} bytes are an unfinished write: ${fault}` }
  return { type: 'damage', offset, message: `${fault}; no good frame in the last ${bytes} bytes: an unfinished write, or damage` }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0')
}

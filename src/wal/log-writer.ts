/**
 * Appends commit groups to one log segment. Twin: `log-reader.ts`; bytes: `frame.ts`.
 *
 * The buffer holds the frames of committed but unwritten groups, then those of the pending group. A group longer than a frame
 * continues in the next one and stays all or nothing.
 *
 * Invariants
 * 1. Up to `writtenBytes` the file holds whole frames only: remains of a failed write are truncated, at the latest before the next
 *    write. Otherwise a frame of the failed group could fit behind one of its successor.
 * 2. A failed group is forgotten and its sequence numbers are reused.
 * 3. After `writtenBytes` there are at most zeros, and none once it is closed: a segment that is synced repeatedly is filled ahead,
 *    since a sync that neither allocates blocks nor changes the length takes half as long.
 *
 * Account: `log` (the caller's buffer, shared by all segments). Cost: one copy and one hash per byte.
 */
import { copyBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import {
  FLAG_CONTINUES, FRAME_HEADER_BYTES, FRAME_MAGIC, LOG_FORMAT, MAX_FRAME_BYTES, MAX_LOG_KEY_BYTES, OPERATION_HEADER_BYTES,
  SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, mountHash, checksum, paddedLength, readU32, readU64, writeU32, writeU64,
} from './frame.ts'

/** How far a repeatedly synced segment is filled ahead: its length, within these limits. */
const MIN_AHEAD_BYTES = 256 * 1024
const MAX_AHEAD_BYTES = 1024 * 1024
/** With more than this written since the last sync, the sync costs more than the allocation. */
const MAX_SYNCED_BYTES = 16 * 1024
/** Never written to, so the system backs it with its zero page. */
const ZEROS = new Uint8Array(16 * 1024)

/** A position in the pending group. */
export interface LogMark {
  sealedEnd: number
  end: number
  operations: number
  nextSeq: number
  groupOperations: number
}

/** Called for each operation, with views valid during the call. */
export type OperationVisitor = (
  seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
) => void

export class LogWriter {
  readonly file: HostFile
  readonly fileNumber: number
  readonly #buffer: Uint8Array
  readonly #kernels: Kernels
  #writtenBytes: number
  #syncedBytes = 0
  /** There may be bytes after `writtenBytes` that could not be truncated yet. */
  #hasTail = false
  /** End of the zeros ahead, if beyond `writtenBytes`. */
  #filledBytes = 0
  #fillsAhead = true
  /** End of the committed frames. */
  #committedEnd = 0
  /** End of the sealed frames: committed ones, then the pending group's. */
  #sealedEnd = 0
  /** End of the open frame's operations. */
  #end = 0
  #operations = 0
  #groupOperations = 0
  /** Of the open frame's first operation. */
  #nextSeq: number

  /** Writes the segment's header. `nextSeq`: of the first operation to come. */
  constructor(file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, mountId: string, nextSeq: number) {
    this.file = file
    this.fileNumber = fileNumber
    this.#buffer = buffer
    this.#kernels = kernels
    this.#nextSeq = nextSeq
    buffer.fill(0, 0, SEGMENT_HEADER_BYTES)
    buffer.set(SEGMENT_MAGIC, 0)
    writeU32(buffer, 8, LOG_FORMAT)
    writeU64(buffer, 16, fileNumber)
    const mount = mountHash(kernels, mountId)
    writeU32(buffer, 24, mount.low)
    writeU32(buffer, 28, mount.high)
    checksum(kernels, buffer, 0, SEGMENT_HEADER_BYTES - 8, fileNumber, 0)
    writeU32(buffer, 32, kernels.hashLow)
    writeU32(buffer, 36, kernels.hashHigh)
    file.writeSync(buffer, 0, SEGMENT_HEADER_BYTES, 0)
    this.#writtenBytes = SEGMENT_HEADER_BYTES
  }

  get writtenBytes(): number { return this.#writtenBytes }
  get isEmpty(): boolean { return this.#writtenBytes === SEGMENT_HEADER_BYTES }
  get isSynced(): boolean { return this.#syncedBytes >= this.#writtenBytes }
  /** The file may hold more than was written: remains of a failed write or an abandoned group. */
  get hasTail(): boolean { return this.#hasTail }
  get pendingOperations(): number { return this.#groupOperations }
  get hasUnwritten(): boolean { return this.#committedEnd > 0 }

  /** Add an operation to the pending group. False, and nothing changed: the buffer, or any frame, is too small. */
  append(
    kind: number, key: Uint8Array, keyStart: number, keyEnd: number,
    value: Uint8Array, valueStart: number, valueEnd: number,
  ): boolean {
    const buffer = this.#buffer
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    const bytes = OPERATION_HEADER_BYTES + keyLength + valueLength
    if (keyLength > MAX_LOG_KEY_BYTES) throw invalidArgument(`a key of ${keyLength} bytes in the log; at most ${MAX_LOG_KEY_BYTES} are allowed`)
    if (FRAME_HEADER_BYTES + bytes + 7 > MAX_FRAME_BYTES) return false
    // Seven bytes of slack for padding, and another frame's header in case this one is full.
    if (this.#end + bytes + 2 * FRAME_HEADER_BYTES + 14 > buffer.length) return false
    if (this.#operations > 0 && this.#end + bytes + 7 - this.#sealedEnd > MAX_FRAME_BYTES) this.#seal(FLAG_CONTINUES)
    let at = this.#operations === 0 ? this.#sealedEnd + FRAME_HEADER_BYTES : this.#end
    buffer[at] = kind
    buffer[at + 1] = keyLength
    buffer[at + 2] = keyLength >>> 8
    writeU32(buffer, at + 3, valueLength)
    at += OPERATION_HEADER_BYTES
    copyBytes(key, keyStart, keyEnd, buffer, at)
    at += keyLength
    copyBytes(value, valueStart, valueEnd, buffer, at)
    this.#end = at + valueLength
    this.#operations++
    this.#groupOperations++
    return true
  }

  mark(): LogMark {
    return {
      sealedEnd: this.#sealedEnd, end: this.#end, operations: this.#operations,
      nextSeq: this.#nextSeq, groupOperations: this.#groupOperations,
    }
  }

  /** Forget operations appended since the mark. */
  rewind(mark: LogMark): void {
    this.#sealedEnd = mark.sealedEnd
    this.#end = mark.end
    this.#operations = mark.operations
    this.#nextSeq = mark.nextSeq
    this.#groupOperations = mark.groupOperations
  }

  /**
   * End the pending group. With `write`, hand it and everything before it to the operating system; on an error the group is
   * forgotten and the error thrown. Then `visit` is called for each of its operations, in order, except spilled ones.
   */
  commit(write: boolean, visit: OperationVisitor): void {
    if (this.#groupOperations === 0) {
      if (write) this.writeOut()
      return
    }
    if (this.#operations === 0) throw new Error('a group must not end with a spill: its last frame says that more follows')
    const start = this.#committedEnd
    const firstSeq = this.#nextSeq + this.#operations - this.#groupOperations
    this.#seal(0)
    const end = this.#sealedEnd
    if (write) {
      try {
        this.#write(end)
      } catch (error) {
        this.#sealedEnd = start
        this.#end = start
        this.#groupOperations = 0
        this.#nextSeq = firstSeq
        throw error
      }
      this.#committedEnd = 0
      this.#sealedEnd = 0
      this.#end = 0
    } else {
      this.#committedEnd = end
    }
    this.#groupOperations = 0
    this.#visit(start, end, visit)
  }

  /**
   * Write the pending group so far and continue it, for a batch larger than the buffer. At least one operation must follow. The
   * caller has called `writeOut` before, and keeps `writtenBytes` and the sequence number for `abandon`.
   */
  spill(): void {
    if (this.#committedEnd > 0) throw new Error('what was committed must be written before a group is spilled')
    this.#seal(FLAG_CONTINUES)
    this.#write(this.#sealedEnd)
    this.#committedEnd = 0
    this.#sealedEnd = 0
    this.#end = 0
  }

  /** Forget a spilled group: truncate to `writtenBytes` and reset the sequence number. */
  abandon(writtenBytes: number, nextSeq: number): void {
    this.#committedEnd = 0
    this.#sealedEnd = 0
    this.#end = 0
    this.#operations = 0
    this.#groupOperations = 0
    this.#nextSeq = nextSeq
    if (this.#writtenBytes > writtenBytes) {
      this.#writtenBytes = writtenBytes
      this.#syncedBytes = Math.min(this.#syncedBytes, writtenBytes)
      this.#hasTail = true
      this.#tryCutTail()
    }
  }

  /** Write committed but unwritten frames. On an error they stay in the buffer. */
  writeOut(): void {
    if (this.#groupOperations > 0) throw new Error('a pending group must be committed before writing')
    if (this.#committedEnd === 0) return
    this.#write(this.#committedEnd)
    this.#committedEnd = 0
    this.#sealedEnd = 0
    this.#end = 0
  }

  syncSync(): void {
    this.#fillAhead()
    const upTo = this.#writtenBytes
    this.file.syncSync()
    this.#syncedBytes = Math.max(this.#syncedBytes, upTo)
  }

  async sync(): Promise<void> {
    this.#fillAhead()
    const upTo = this.#writtenBytes
    await this.file.sync()
    this.#syncedBytes = Math.max(this.#syncedBytes, upTo)
  }

  close(): void {
    if (this.#filledBytes > this.#writtenBytes) this.#hasTail = true
    this.#tryCutTail()
    this.file.close()
  }

  #write(end: number): void {
    if (this.#hasTail) this.#cutTail()
    try {
      this.file.writeSync(this.#buffer, 0, end, this.#writtenBytes)
    } catch (error) {
      this.#hasTail = true
      this.#tryCutTail()
      throw error
    }
    this.#writtenBytes += end
  }

  /**
   * Before a sync that would allocate blocks anyway, allocate further ones. Not for a segment's first sync, which may be its only
   * one.
   */
  #fillAhead(): void {
    const start = this.#writtenBytes
    if (!this.#fillsAhead || this.#syncedBytes === 0 || this.#filledBytes >= start || this.#hasTail) return
    if (start - this.#syncedBytes > MAX_SYNCED_BYTES) return
    const end = start + Math.min(MAX_AHEAD_BYTES, Math.max(MIN_AHEAD_BYTES, start))
    try {
      for (let at = start; at < end; at += ZEROS.length) {
        this.file.writeSync(ZEROS, 0, ZEROS.length, at)
        this.#filledBytes = at + ZEROS.length
      }
    } catch {
      // Only an optimisation; a full disk is for the next write to report.
      this.#fillsAhead = false
      this.#hasTail = true
      this.#tryCutTail()
    }
  }

  #cutTail(): void {
    this.file.truncate(this.#writtenBytes)
    this.#hasTail = false
    this.#filledBytes = 0
  }

  /** After an error, which matters more than another one here. Tried again before the next write. */
  #tryCutTail(): void {
    if (!this.#hasTail) return
    try {
      this.#cutTail()
    } catch {
      // Tried again before the next write.
    }
  }

  /** End the open frame. */
  #seal(flags: number): void {
    if (this.#operations === 0) return
    const buffer = this.#buffer
    const start = this.#sealedEnd
    const payloadLength = this.#end - start - FRAME_HEADER_BYTES
    const end = start + paddedLength(payloadLength)
    buffer.fill(0, this.#end, end)
    writeU32(buffer, start, FRAME_MAGIC)
    writeU32(buffer, start + 4, payloadLength)
    writeU64(buffer, start + 16, this.#nextSeq)
    writeU64(buffer, start + 24, this.#syncedBytes)
    writeU32(buffer, start + 32, this.#operations)
    writeU32(buffer, start + 36, flags)
    checksum(this.#kernels, buffer, start + 16, end, this.fileNumber, this.#writtenBytes + start)
    writeU32(buffer, start + 8, this.#kernels.hashLow)
    writeU32(buffer, start + 12, this.#kernels.hashHigh)
    this.#nextSeq += this.#operations
    this.#operations = 0
    this.#sealedEnd = end
    this.#end = end
  }

  #visit(start: number, end: number, visit: OperationVisitor): void {
    const buffer = this.#buffer
    for (let frame = start; frame < end;) {
      const payloadLength = readU32(buffer, frame + 4)
      let seq = readU64(buffer, frame + 16)
      let operations = readU32(buffer, frame + 32)
      let at = frame + FRAME_HEADER_BYTES
      for (; operations > 0; operations--) {
        const keyStart = at + OPERATION_HEADER_BYTES
        const keyEnd = keyStart + (buffer[at + 1]! | (buffer[at + 2]! << 8))
        const valueEnd = keyEnd + readU32(buffer, at + 3)
        visit(seq++, buffer[at]!, buffer, keyStart, keyEnd, keyEnd, valueEnd)
        at = valueEnd
      }
      frame += paddedLength(payloadLength)
    }
  }
}

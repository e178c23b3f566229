/**
 * Makes the history durable before the next manifest relies on it. What is not proved to be on disk is written to a new file.
 *
 * After a failed sync or write-back Linux marks the pages clean: they read well, a later sync succeeds, and a power loss takes them.
 * Writing them again in place does not help on ext4: the blocks are written, but their extents stay unwritten and are zeros after the
 * next mount. So each unproved segment, and each large value it refers to, is copied; the copy is synced and renamed over the
 * original. The same is done after a process died without any failure, since that looks the same.
 *
 * Proof that bytes are on disk: the record of a close; `earlier.durable` in the manifest; a frame that knows this part of its segment
 * to be synced. Segments are synced in order, after the large values they refer to, so such a frame proves all of those too.
 *
 * Unproved pages that were evicted read as zeros. The history ends before the first such hole: the log scan finds one in the log, the
 * copy finds one in a large value, and then the log is scanned again.
 *
 * Invariants
 * 1. A copy holds the scanned history byte for byte, each frame and value checked as it is copied.
 * 2. A crash at any step leaves the old file or the new one, with the same history.
 * 3. Large values are durable before the segment that refers to them, and segments in order.
 * 4. The lock is checked before each rename.
 *
 * Account: `flush and merge`, which holds the buffer of recovery; large values pass through the kernels.
 * Cost: none for a closed store; else one read, write and sync of what is not proved, and disk space for the largest file.
 */
import { KIND_VALUE_FILE } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import { errorCode } from '../../host/file-error.ts'
import type { HostFile } from '../../host/host.ts'
import type { Version } from '../../manifest/version.ts'
import { VALUE_REFERENCE_BYTES, copyValueFile, decodeValueReference } from '../../table/value-file.ts'
import { SEGMENT_HEADER_BYTES } from '../../wal/frame.ts'
import { hasHole, visitFrame, walkFrames } from '../../wal/frame-reader.ts'
import type { StoreState } from '../state/store-state.ts'
import { scanHistory } from './log-history.ts'
import type { LogHistory, LogPart } from './log-history.ts'

/** Step of the search for holes in a large value. */
const PIECE_BYTES = 64 * 1024

/** `isDurable`: all of it is, with its large values; false where one is missing or damaged, which shows when it is read. */
export interface DurableHistory {
  readonly history: LogHistory
  readonly isDurable: boolean
}

/** Find the history in these log segments, ascending, and make it durable, unless the store is read-only. */
export function durableHistory(core: StoreState, base: Version, numbers: readonly number[], buffer: Uint8Array, isShared: boolean): DurableHistory {
  const lostValues = new Set<number>()
  for (;;) {
    const history = scanHistory(core, base, numbers, buffer, isShared, lostValues)
    if (core.settings.isReadOnly) return { history, isDurable: false }
    const lost = lostValues.size
    const isDurable = new Renewal(core, base, history.parts.filter(({ operations }) => operations > 0), buffer, lostValues).run()
    if (lostValues.size === lost) return { history, isDurable }
  }
}

class Renewal {
  readonly #core: StoreState
  readonly #base: Version
  readonly #parts: readonly LogPart[]
  readonly #buffer: Uint8Array
  readonly #lostValues: Set<number>
  #isDurable = true

  constructor(core: StoreState, base: Version, parts: readonly LogPart[], buffer: Uint8Array, lostValues: Set<number>) {
    this.#core = core
    this.#base = base
    this.#parts = parts
    this.#buffer = buffer
    this.#lostValues = lostValues
  }

  /** Returns whether all is durable. Stops at a lost large value, before which the history ends. */
  run(): boolean {
    if (this.#base.closed !== undefined) return true
    const lost = this.#lostValues.size
    for (const [i, part] of this.#parts.entries()) {
      if (this.#parts.some(({ syncedBytes }, other) => other > i && syncedBytes > 0)) continue
      const provedBytes = Math.max(part.syncedBytes, this.#bytesKnownDurable(part.number))
      if (provedBytes < part.endOffset) this.#renewSegment(part, provedBytes)
      if (this.#lostValues.size > lost) return false
    }
    // Entries of segments that were never synced, too.
    if (this.#parts.length > 0) this.#core.files.io.syncDirectory(this.#core.files.directory)
    return this.#isDurable
  }

  #bytesKnownDurable(number: number): number {
    const { earlier } = this.#base
    return earlier?.durable === true ? earlier.logs.find(([known]) => known === number)?.[1] ?? 0 : 0
  }

  #renewSegment({ number, firstSeq, endOffset }: LogPart, provedBytes: number): void {
    const { files, engine: { kernels } } = this.#core
    const buffer = this.#buffer
    const lost = this.#lostValues.size
    const path = files.logPath(number)
    this.#renew(path, copy => {
      const file = files.io.openRead(path)
      try {
        copy.writeSync(buffer, 0, file.readSync(buffer, 0, SEGMENT_HEADER_BYTES, 0), 0)
        let next = firstSeq!
        walkFrames(file, number, buffer, kernels, endOffset, (offset, frameBytes) => {
          next = visitFrame(buffer, next, (seq, kind, bytes, _keyStart, _keyEnd, start, end) => {
            // Values in tables are durable. A malformed reference is found at replay.
            if (offset < provedBytes || seq <= this.#base.lastSeq || kind !== KIND_VALUE_FILE || end - start !== VALUE_REFERENCE_BYTES) return
            if (this.#lostValues.size === lost) this.#renewValue(bytes, start, end)
          })
          copy.writeSync(buffer, 0, frameBytes, offset)
        })
      } finally {
        file.close()
      }
      return this.#lostValues.size === lost
    })
  }

  #renewValue(bytes: Uint8Array, start: number, end: number): void {
    const { files, engine: { kernels } } = this.#core
    const { fileNumber, lengthBytes } = decodeValueReference(bytes, start, end)
    const path = files.valuePath(fileNumber)
    try {
      this.#renew(path, copy => {
        copyValueFile(files.io, path, fileNumber, lengthBytes, kernels, copy)
        return true
      })
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      if (this.#isLost(path)) this.#lostValues.add(fileNumber)
      else this.#isDurable = false
    }
  }

  /** Whether a bad value file is one that was not written back. */
  #isLost(path: string): boolean {
    const { io } = this.#core.files
    let file: HostFile
    try {
      file = io.openRead(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      return false
    }
    try {
      // The recovery buffer holds the frame that refers to it.
      const { memory, a } = this.#core.engine.kernels
      return hasHole(file, 0, file.size(), memory.subarray(a, a + PIECE_BYTES))
    } finally {
      file.close()
    }
  }

  /** Replace a file by one that `write` fills, synced; the directory entry is not. Changes nothing if `write` returns false or throws. */
  #renew(path: string, write: (copy: HostFile) => boolean): void {
    const { files, host, ownership } = this.#core
    const copyPath = host.join(files.directory, `tmp-${Math.floor(host.random() * 2 ** 48).toString(16)}`)
    const copy = files.io.create(copyPath)
    let isTaken = false
    try {
      try {
        if (!write(copy)) return
        copy.syncSync()
      } finally {
        copy.close()
      }
      ownership.check()
      files.io.rename(copyPath, path)
      isTaken = true
    } finally {
      if (!isTaken) files.discard(copyPath)
    }
  }
}

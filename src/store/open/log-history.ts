/**
 * Determines which log segments, up to which offset, are the history of a store, before anything is changed.
 *
 * Invariants
 * 1. The history is a prefix without holes: it ends at the first operation the machine lost.
 * 2. A closed store has all of its log; bytes behind it do not count.
 * 3. Writes of an owner after a takeover do not count. The manifest says where the log of earlier owners ends (`Version.earlier`);
 *    the result of this scan goes into the next manifest.
 * 4. Nothing is changed here; `log-renewal.ts` makes the history durable for the next manifest.
 *
 * Stores of builds without `earlier` are read too: a segment that begins before the end of those before it belongs to a later owner
 * and cuts them off; one that continues a cut segment has the same writer.
 */
import { KIND_VALUE_FILE } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import { nextLogged } from '../../manifest/version.ts'
import type { Version } from '../../manifest/version.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference, verifyValueFile } from '../../table/value-file.ts'
import { firstSeqOf, scanLog } from '../../wal/log-reader.ts'
import type { LogContents, ScanOptions } from '../../wal/log-reader.ts'
import type { Host } from '../../host/host.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Manifests, StoreFiles } from '../state/store-files.ts'

/** The parts of a store it reads. */
export interface HistorySource {
  readonly host: Host
  readonly engine: { readonly kernels: Kernels }
  readonly files: Pick<StoreFiles, 'io' | 'directory' | 'mountId' | 'logPath' | 'valuePath'> & { readonly manifests: Pick<Manifests, 'newestPath'> }
}

/** A segment of the history. */
export interface LogPart {
  readonly number: number
  readonly firstSeq: number | undefined
  /** End of the history in it. */
  readonly endOffset: number
  /** Sequence number after its last operation. */
  readonly nextSeq: number | undefined
  readonly operations: number
  /** Length that was durable when its latest frame was written. */
  readonly syncedBytes: number
  /** Bytes at its end given up as unfinished. */
  readonly droppedBytes: number
}

export interface LogHistory {
  /** Ascending. */
  readonly parts: readonly LogPart[]
  /** Of the last operation, in a table or in the log. */
  readonly lastSeq: number
  /** Bytes at the ends of segments given up as unfinished. */
  readonly droppedBytes: number
}

/** A former owner that may be alive writes for less than this, and this often. */
const RETRY_MS = 20
const MAX_RETRIES = 10

/**
 * @param numbers all log segments in the directory, ascending
 * @param isShared a former owner may still be alive and writing
 * @param lostValues value files known not to have been written back
 */
export function scanHistory(
  core: HistorySource, base: Version, numbers: readonly number[], buffer: Uint8Array, isShared: boolean, lostValues: ReadonlySet<number> = new Set(),
): LogHistory {
  return new HistoryScan(core, base, buffer, isShared, lostValues).run(numbers)
}

class HistoryScan {
  readonly #core: HistorySource
  readonly #base: Version
  readonly #buffer: Uint8Array
  readonly #isShared: boolean
  readonly #lostValues: ReadonlySet<number>
  /** A segment was cut: later ones may begin with a gap. */
  #isCut = false
  #parts: LogPart[] = []
  #expected: number | undefined
  #droppedBytes = 0
  /** Where segments of cut-off owners continue. */
  readonly #fencedNext = new Set<number>()

  constructor(core: HistorySource, base: Version, buffer: Uint8Array, isShared: boolean, lostValues: ReadonlySet<number>) {
    this.#core = core
    this.#base = base
    this.#buffer = buffer
    this.#isShared = isShared
    this.#lostValues = lostValues
  }

  run(numbers: readonly number[]): LogHistory {
    const { closed, lastSeq: flushedSeq, ahead } = this.#base
    for (const [number, endBytes] of this.#segments(numbers)) this.#add(number, endBytes)
    const loggedSeq = (this.#expected ?? 1) - 1
    if (closed !== undefined && loggedSeq !== closed.lastSeq) {
      throw new CorruptionError(
        this.#core.files.logPath(closed.logs.at(-1)![0]), 0, `the log ends at sequence number ${loggedSeq}, the store was closed at ${closed.lastSeq}`)
    }
    const lastSeq = nextLogged(this.#base, Math.max(flushedSeq, loggedSeq)) - 1
    const lost = ahead?.find(([first]) => first > lastSeq)
    if (lost !== undefined) {
      throw new CorruptionError(
        this.#core.files.manifests.newestPath, 0,
        `the log ends at sequence number ${lastSeq}, but tables hold a transaction that began at ${lost[0]}, and what was written before it was durable then`,
      )
    }
    return { parts: this.#parts, lastSeq, droppedBytes: this.#droppedBytes }
  }

  /** Numbers, and lengths if known, of the segments that may belong to the history. Throws when one is missing. */
  #segments(numbers: readonly number[]): (readonly [number, number | undefined])[] {
    const { logFloor, closed, earlier } = this.#base
    const known = closed?.logs ?? earlier?.logs.filter(([number]) => number >= logFloor) ?? []
    for (const [number] of known) {
      if (numbers.includes(number)) continue
      throw new CorruptionError(this.#core.files.logPath(number), 0, `the log segment is missing, though the store was ${closed === undefined ? 'opened' : 'closed'} with it`)
    }
    if (closed !== undefined) return [...known]
    const own = numbers.filter(number => number >= Math.max(logFloor, earlier?.before ?? 0))
    return [...known, ...own.map(number => [number, undefined] as const)]
  }

  #add(number: number, endBytes: number | undefined): void {
    const expected = this.#expected
    const first = endBytes === undefined ? this.#firstSeqOf(number) : undefined
    if (first !== undefined && expected !== undefined && first !== expected) {
      if (this.#fencedNext.has(first)) {
        const { nextSeq } = this.#scan(number, { expectedSeq: first })
        this.#fencedNext.add(nextSeq!)
        return
      }
      if (first < expected && this.#cutAt(first)) {
        this.#fencedNext.add(expected)
        this.#expected = first
      }
    }
    const part = this.#scan(number, { expectedSeq: this.#expected, ...(endBytes === undefined ? {} : { endBytes }) })
    // A large transaction ends the segment before it: no segment has its sequence numbers.
    if (part.nextSeq !== undefined) this.#expected = nextLogged(this.#base, part.nextSeq - 1)
    this.#droppedBytes += part.droppedBytes
    this.#isCut ||= part.isCut
    this.#parts.push({ ...part, number })
  }

  /** End the parts found so far before an operation. False, and unchanged: that is inside a batch. */
  #cutAt(seq: number): boolean {
    const kept = this.#parts.filter(({ firstSeq }) => firstSeq !== undefined && firstSeq < seq)
    const last = kept.pop()
    if (last === undefined) {
      if (seq > this.#base.lastSeq + 1) return false
    } else {
      const cut = this.#scan(last.number, { expectedSeq: last.firstSeq, untilSeq: seq })
      if (cut.nextSeq !== seq) return false
      kept.push({ ...cut, number: last.number })
    }
    this.#parts = kept
    return true
  }

  #firstSeqOf(number: number): number | undefined {
    const { files: { io: files }, engine: { kernels } } = this.#core
    const file = files.openRead(this.#core.files.logPath(number))
    try {
      return firstSeqOf(file, number, this.#buffer, kernels)
    } finally {
      file.close()
    }
  }

  #scan(number: number, options: ScanOptions): LogContents {
    for (let retries = 0; ; retries++) {
      try {
        return this.#scanOnce(number, options)
      } catch (error) {
        // Apparent damage may be a frame being written.
        if (!this.#isShared || !(error instanceof CorruptionError) || retries === MAX_RETRIES) throw error
        this.#core.host.scheduler.sleepSync(RETRY_MS)
      }
    }
  }

  #scanOnce(number: number, options: ScanOptions): LogContents {
    const core = this.#core
    const { lastSeq } = this.#base
    const path = core.files.logPath(number)
    const { endBytes = 0 } = options
    const file = core.files.io.openRead(path)
    let isValueLost = false
    try {
      const contents = scanLog(file, number, this.#buffer, core.engine.kernels, core.files.mountId, {
        ...options, latestFirstSeq: lastSeq + 1, isBehindCut: this.#isCut,
        isWhole: (seq, kind, bytes, start, end) => {
          if (seq <= lastSeq || kind !== KIND_VALUE_FILE || this.#isValueWhole(bytes, start, end)) return true
          isValueLost = true
          return false
        },
        isKept: (seq, kind, bytes, start, end) => {
          if (seq <= lastSeq || kind !== KIND_VALUE_FILE || !this.#isValueLost(bytes, start, end)) return true
          isValueLost = true
          return false
        },
      })
      // Everything a manifest knows was durable before it; large values of earlier builds became durable later.
      if (contents.endOffset < endBytes && (!isValueLost || this.#base.earlier?.durable === true)) throw cutShort(path, contents.endOffset, endBytes)
      return contents
    } finally {
      file.close()
    }
  }

  #isValueLost(bytes: Uint8Array, start: number, end: number): boolean {
    return end - start === VALUE_REFERENCE_BYTES && this.#lostValues.has(decodeValueReference(bytes, start, end).fileNumber)
  }

  /** Whether a large value survived the machine: its file may be durable later than the log. Values of a closed store are durable. */
  #isValueWhole(bytes: Uint8Array, start: number, end: number): boolean {
    // A malformed reference is found at replay.
    if (end - start !== VALUE_REFERENCE_BYTES) return true
    const { files: { io: files }, engine: { kernels } } = this.#core
    const { fileNumber, lengthBytes } = decodeValueReference(bytes, start, end)
    try {
      verifyValueFile(files, this.#core.files.valuePath(fileNumber), fileNumber, lengthBytes, kernels)
      return true
    } catch (error) {
      if (error instanceof CorruptionError && this.#base.closed === undefined) return false
      throw error
    }
  }
}

function cutShort(path: string, left: number, bytes: number): CorruptionError {
  return new CorruptionError(path, left, `the manifest knows ${bytes} bytes of this log segment, of which ${left} are left`)
}

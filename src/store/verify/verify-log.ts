/**
 * Checks the log segments of a directory as opening the store would read them and, if that fails, one by one.
 *
 * If the whole history can be read, each of its segments is sound, and all others are leftovers. Otherwise each segment that may
 * belong to it is checked against the manifest and its neighbours, and by itself after a damaged one.
 */
import { KIND_VALUE_FILE } from '../../base/cursor.ts'
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import { logName, valueName } from '../../base/file-names.ts'
import { nextLogged } from '../../manifest/version.ts'
import type { Version } from '../../manifest/version.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference, verifyValueFile } from '../../table/value-file.ts'
import { SEGMENT_HEADER_BYTES } from '../../wal/frame.ts'
import { deliverLog, scanLog } from '../../wal/log-reader.ts'
import type { LogContents, ScanOptions } from '../../wal/log-reader.ts'
import { scanHistory } from '../open/log-history.ts'
import type { LogHistory, LogPart } from '../open/log-history.ts'
import type { Findings } from './findings.ts'
import { problemOf } from './findings.ts'
import { withFile } from './stored-file.ts'
import type { VerifyParts } from './stored-file.ts'

export class LogVerifier {
  readonly #parts: VerifyParts
  readonly #findings: Findings
  /** The newest manifest, if readable; without it each segment is checked by itself. */
  readonly #version: Version | undefined
  readonly #versionPath: string
  readonly #onValue: (fileNumber: number, path: string) => void
  /** Expected first sequence number of the next segment; undefined: unknown. */
  #expected: number | undefined
  /** Unreadable bytes at the end of the previous segment: its last write, if no segment follows it. */
  #unfinished: { path: string, offset: number, bytes: number } | undefined
  #isWhole = true

  /** `onValue` is called for every large value the log refers to. */
  constructor(
    parts: VerifyParts, findings: Findings, version: Version | undefined, versionPath: string, onValue: (fileNumber: number, path: string) => void,
  ) {
    this.#parts = parts
    this.#findings = findings
    this.#version = version
    this.#versionPath = versionPath
    this.#onValue = onValue
  }

  /** No segment is damaged or missing. */
  get isWhole(): boolean { return this.#isWhole }

  /** `numbers` of all segments, ascending. `turn` is awaited before each. */
  async check(numbers: readonly number[], turn: () => Promise<void>): Promise<void> {
    const known = this.#known()
    let history: LogHistory | undefined
    const problem = this.#version === undefined ? undefined : problemOf(() => { history = this.#history(this.#version!, numbers) })
    const parts = new Map(history?.parts.map(part => [part.number, part]))
    for (const number of known.keys()) if (!numbers.includes(number)) this.#missing(number)
    for (const number of numbers) {
      await turn()
      const path = this.#path(number)
      if (history === undefined ? !this.#mayBelong(number, known) : !parts.has(number)) {
        this.#findings.note(path, 'this log segment is no part of the store any more; the next opening removes it')
      } else {
        this.#checkOne(path, number, known.get(number), parts.get(number))
      }
    }
    this.#noteUnfinished()
    if (problem === undefined || !this.#isWhole) return
    // The error concerns all of them.
    const file = problem instanceof SpillwayError ? problem.details['file'] : undefined
    if (file !== this.#versionPath && !numbers.some(number => file === this.#path(number))) return
    this.#isWhole = false
    this.#findings.report.sound--
    this.#findings.check(file as string, () => { throw problem })
  }

  #history(version: Version, numbers: readonly number[]): LogHistory {
    const { host, files, directory, mountId, kernels, buffer } = this.#parts
    const source = {
      host, engine: { kernels },
      files: {
        io: files, mountId, directory, manifests: { newestPath: this.#versionPath },
        logPath: (number: number) => this.#path(number), valuePath: (number: number) => host.join(directory, valueName(number)),
      },
    }
    return scanHistory(source, version, numbers, buffer, false)
  }

  /** Segments, with lengths, that existed according to the manifest. */
  #known(): Map<number, number> {
    const { closed, earlier, logFloor = 0 } = this.#version ?? {}
    return new Map(closed?.logs ?? earlier?.logs.filter(([number]) => number >= logFloor))
  }

  #mayBelong(number: number, known: ReadonlyMap<number, number>): boolean {
    const version = this.#version
    if (version === undefined || known.has(number)) return true
    return version.closed === undefined && number >= Math.max(version.logFloor, version.earlier?.before ?? 0)
  }

  #missing(number: number): void {
    this.#isWhole = false
    this.#findings.damage(this.#path(number), `the log segment is missing, though the store was ${this.#version!.closed === undefined ? 'opened' : 'closed'} with it`)
  }

  #checkOne(path: string, number: number, endBytes: number | undefined, part: LogPart | undefined): void {
    const { report } = this.#findings
    report.logs++
    const isSound = this.#findings.check(path, () => {
      report.bytes += withFile(this.#parts.files, path, file => file.size())
      try {
        this.#read(path, number, endBytes, part)
      } catch (error) {
        if (part !== undefined || !this.#goesOnBehind(error)) throw error
        this.#read(path, number, endBytes, part)
      }
    })
    if (!isSound) this.#damaged()
  }

  /**
   * Unreadable bytes at the end of the previous segment were no unfinished write if this segment continues after them: then that
   * one is damaged.
   */
  #goesOnBehind(error: unknown): boolean {
    const before = this.#unfinished
    if (before === undefined || !(error instanceof CorruptionError) || error.details['offset'] !== SEGMENT_HEADER_BYTES) return false
    this.#findings.damage(before.path, `${before.bytes} bytes are damaged, and the next log segment goes on behind them`, before.offset)
    this.#findings.report.sound--
    this.#unfinished = undefined
    this.#damaged()
    return true
  }

  #damaged(): void {
    this.#isWhole = false
    this.#expected = undefined
  }

  #noteUnfinished(): void {
    if (this.#unfinished === undefined) return
    const { path, bytes } = this.#unfinished
    this.#findings.note(path, `the last ${bytes} bytes are a write that was never finished, and are no part of the store`)
    this.#unfinished = undefined
  }

  #read(path: string, number: number, endBytes: number | undefined, part: LogPart | undefined): void {
    const version = this.#version
    const { kernels, buffer, files } = this.#parts
    const knownSeq = version?.lastSeq ?? 0
    withFile(files, path, file => {
      const scan = (options: ScanOptions): LogContents => scanLog(file, number, buffer, kernels, this.#parts.mountId, options)
      const ends = endBytes === undefined ? {} : { endBytes }
      const contents = part ?? scan({
        ...ends, expectedSeq: this.#expected,
        // After a damaged segment, or without a manifest, a segment may begin anywhere.
        latestFirstSeq: version !== undefined && this.#isWhole ? knownSeq + 1 : Infinity,
        isWhole: (seq, kind, bytes, valueStart, valueEnd) =>
          version === undefined || version.closed !== undefined || seq <= knownSeq || kind !== KIND_VALUE_FILE || this.#isValueWhole(bytes, valueStart, valueEnd),
      })
      const { endOffset, nextSeq, droppedBytes, operations } = contents
      // Operations lost with an unsynced large value are no damage; a mismatch with the manifest is.
      if (endBytes !== undefined && endOffset < endBytes) {
        const { endOffset: good } = scan({ ...ends, expectedSeq: contents.firstSeq })
        if (good < endBytes) throw new CorruptionError(path, good, `the manifest knows ${endBytes} bytes of this log segment, of which ${good} are whole`)
      }
      deliverLog(file, number, buffer, kernels, contents, (seq, kind, bytes, _keyStart, _keyEnd, valueStart, valueEnd) => {
        if (kind !== KIND_VALUE_FILE || version === undefined || seq <= knownSeq) return
        if (valueEnd - valueStart !== VALUE_REFERENCE_BYTES) {
          throw new CorruptionError(path, 0, `the reference to a large value has ${valueEnd - valueStart} bytes, expected ${VALUE_REFERENCE_BYTES}`)
        }
        this.#onValue(decodeValueReference(bytes, valueStart, valueEnd).fileNumber, path)
      })
      this.#findings.report.operations += operations
      if (version !== undefined && nextSeq !== undefined) this.#expected = nextLogged(version, nextSeq - 1)
      this.#noteUnfinished()
      if (droppedBytes > 0) this.#unfinished = { path, offset: endOffset, bytes: droppedBytes }
    })
  }

  #isValueWhole(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start !== VALUE_REFERENCE_BYTES) return true
    const { host, files, directory, kernels } = this.#parts
    const { fileNumber, lengthBytes } = decodeValueReference(bytes, start, end)
    try {
      verifyValueFile(files, host.join(directory, valueName(fileNumber)), fileNumber, lengthBytes, kernels)
      return true
    } catch (error) {
      if (error instanceof CorruptionError) return false
      throw error
    }
  }

  #path(number: number): string {
    return this.#parts.host.join(this.#parts.directory, logName(number))
  }
}

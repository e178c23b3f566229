/**
 * The scratch file: extents of whole 4 KiB units, written and read in place. Its bytes mean nothing to another process, so it is
 * never synced; it is made at the first write, cut when its end comes free and removed by `close`.
 *
 * 1. An extent's place is its own until it is freed. What is read there is checked by whoever wrote it (`extent-codec.ts`).
 * 2. Freed places are used again, the lowest first, and a file that is wholly free is empty on the disk too.
 *
 * Account: the map of units in use, 132 bytes for 4 MiB of file. Cost: one system call a write or read.
 */
import type { HostFile, HostFiles } from '../host/host.ts'
import type { Account } from '../memory/budget.ts'
import { ExtentMap, UNIT_BYTES } from './extent-map.ts'

export interface ScratchFileOptions {
  /** For tests: freed extents are overwritten with a pattern. */
  poison?: boolean
}

/** The file is cut when so much of its end is free. */
const CUT_BYTES = 16 * 2 ** 20
const POISON = new Uint8Array(UNIT_BYTES).fill(0xdb)

export class ScratchFile {
  readonly #files: HostFiles
  readonly #newPath: string | (() => string)
  readonly #map: ExtentMap
  readonly #poison: boolean
  #file: HostFile | undefined
  /** Not less than the length of the file. */
  #fileBytes = 0
  #closed = false

  /**
   * Nothing is on the disk yet. `path` must be free, its directory there; a function is called for it at the first write (such as
   * `ScratchDirectory.newFile`). Throws BUDGET_TOO_SMALL without 2 KiB for the map.
   */
  constructor(files: HostFiles, path: string | (() => string), account: Account, options: ScratchFileOptions = {}) {
    this.#files = files
    this.#newPath = path
    this.#map = new ExtentMap(account)
    this.#poison = options.poison === true
  }

  /** '' while there is none. */
  get path(): string { return this.#file?.path ?? '' }
  /** Bytes of extents, in whole units. */
  get usedBytes(): number { return this.#map.usedUnits * UNIT_BYTES }
  /** Bytes the file takes on the disk, at most. */
  get fileBytes(): number { return this.#fileBytes }
  /** Bytes of memory for the map. */
  get mapBytes(): number { return this.#map.bytes }

  /** The position of a new extent of up to `bytes`, or -1 when there is no memory to note it in. */
  alloc(bytes: number): number {
    const unit = this.#map.alloc(Math.ceil(bytes / UNIT_BYTES))
    return unit < 0 ? -1 : unit * UNIT_BYTES
  }

  /** Give back the end of an extent that turned out shorter. */
  trim(position: number, bytes: number, keepBytes: number): void {
    const units = Math.ceil(bytes / UNIT_BYTES)
    const keep = Math.ceil(keepBytes / UNIT_BYTES)
    if (keep < units) this.#map.free(position / UNIT_BYTES + keep, units - keep)
  }

  /** Throws what the file system throws. */
  write(source: Uint8Array, start: number, end: number, position: number): void {
    this.#file ??= this.#files.create(typeof this.#newPath === 'string' ? this.#newPath : this.#newPath())
    this.#fileBytes = Math.max(this.#fileBytes, position + (end - start))
    this.#file.writeSync(source, start, end - start, position)
  }

  /** Whether all `length` bytes were there. Throws what the file system throws. */
  read(target: Uint8Array, at: number, length: number, position: number): boolean {
    return this.#file !== undefined && this.#file.readSync(target, at, length, position) === length
  }

  free(position: number, bytes: number): void {
    const units = Math.ceil(bytes / UNIT_BYTES)
    if (this.#poison && this.#file !== undefined) this.#overwrite(position, units)
    this.#map.free(position / UNIT_BYTES, units)
    const endBytes = this.#map.endUnits * UNIT_BYTES
    if (this.#file === undefined || this.#fileBytes - endBytes < (endBytes === 0 ? 1 : CUT_BYTES)) return
    try {
      this.#file.truncate(endBytes)
      this.#fileBytes = endBytes
    } catch {
      // Only disk space is lost, and that until the next cut: it is written over before it is read.
    }
  }

  /** Removes the file; fine to call twice. Throws what the file system throws, with the descriptor closed. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#map.close()
    if (this.#file === undefined) return
    const { path } = this.#file
    this.#file.close()
    this.#file = undefined
    this.#fileBytes = 0
    this.#files.remove(path)
  }

  #overwrite(position: number, units: number): void {
    try {
      for (let unit = 0; unit < units; unit++) this.#file!.writeSync(POISON, 0, UNIT_BYTES, position + unit * UNIT_BYTES)
    } catch {
      // A full or failing disk: the old bytes stay, and the serial of whoever comes next tells them apart.
    }
  }
}

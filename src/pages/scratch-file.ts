/**
 * Scratch file: extents of whole 4 KiB units, written and read in place. Never synced: no other process can use it. Created at the
 * first write, truncated when its end becomes free, removed by `close`.
 *
 * Invariants
 * 1. An extent's reader verifies its bytes (`extent-codec.ts`).
 * 2. Freed units are reused, lowest first. A file without extents is empty on disk.
 *
 * Account: the unit map, 132 bytes for 4 MiB of file.
 */
import type { HostFile, HostFiles } from '../host/host.ts'
import type { Account } from '../memory/budget.ts'
import { ExtentMap, UNIT_BYTES } from './extent-map.ts'

export interface ScratchFileOptions {
  /** For tests: overwrite freed extents. */
  poison?: boolean
}

/** Free bytes at the end that trigger a truncation. */
const CUT_BYTES = 16 * 2 ** 20
const POISON = new Uint8Array(UNIT_BYTES).fill(0xdb)

export class ScratchFile {
  readonly #files: HostFiles
  readonly #newPath: string | (() => string)
  readonly #map: ExtentMap
  readonly #poison: boolean
  #file: HostFile | undefined
  #fileBytes = 0
  #closed = false

  /** `path` must be free, its directory there; a function is called at the first write. Throws BUDGET_TOO_SMALL without 2 KiB. */
  constructor(files: HostFiles, path: string | (() => string), account: Account, options: ScratchFileOptions = {}) {
    this.#files = files
    this.#newPath = path
    this.#map = new ExtentMap(account)
    this.#poison = options.poison === true
  }

  get path(): string { return this.#file?.path ?? '' }
  get usedBytes(): number { return this.#map.usedUnits * UNIT_BYTES }
  get fileBytes(): number { return this.#fileBytes }
  get mapBytes(): number { return this.#map.bytes }

  /** Position of an extent, or -1 without memory for the map. */
  alloc(bytes: number): number {
    const unit = this.#map.alloc(Math.ceil(bytes / UNIT_BYTES))
    return unit < 0 ? -1 : unit * UNIT_BYTES
  }

  trim(position: number, bytes: number, keepBytes: number): void {
    const units = Math.ceil(bytes / UNIT_BYTES)
    const keepUnits = Math.ceil(keepBytes / UNIT_BYTES)
    if (keepUnits < units) this.#map.free(position / UNIT_BYTES + keepUnits, units - keepUnits)
  }

  write(source: Uint8Array, start: number, end: number, position: number): void {
    this.#file ??= this.#files.create(typeof this.#newPath === 'string' ? this.#newPath : this.#newPath())
    this.#fileBytes = Math.max(this.#fileBytes, position + (end - start))
    this.#file.writeSync(source, start, end - start, position)
  }

  /** False if bytes are missing. Throws file system errors. */
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
      // Costs only disk space: units are rewritten before they are read.
    }
  }

  /** Idempotent. Throws file system errors, with the descriptor closed. */
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
      // The next extent's serial tells the old bytes apart.
    }
  }
}

/** Scratch files and null parts of a store opened for reading, whose directory may not change. */
import { SpillwayError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Host, HostFiles } from '../../host/host.ts'
import { temporaryDirectory } from '../../host/node/temporary-directory.ts'
import { ManifestStore } from '../../manifest/manifest-store.ts'
import type { Version } from '../../manifest/version.ts'
import { ScratchDirectory } from '../../host/scratch-directory.ts'
import { ObsoleteFiles } from '../state/obsolete-files.ts'
import { NoManifests } from '../../manifest/no-manifests.ts'

/** Numbers of its own tables, beyond any of the store's. */
const MIN_NUMBER = 2 ** 30

/** Tables for the part of the log that does not fit in memory. The directory is made with the first one. */
export class ReadOnlyFiles {
  readonly #host: Host
  readonly #directory: string
  #scratch: ScratchDirectory | undefined
  #from = Infinity

  /** `directory`: the store's. */
  constructor(host: Host, directory: string) {
    this.#host = host
    this.#directory = directory
  }

  /** First number of its own tables; the store's numbers end before `next`. */
  begin(next: number): number {
    return this.#from = Math.max(MIN_NUMBER, next)
  }

  directoryOf(number: number): string {
    return number >= this.#from && this.#scratch !== undefined ? this.#scratch.place : this.#directory
  }

  owns(path: string): boolean {
    return this.#scratch !== undefined && path.startsWith(this.#host.join(this.#scratch.place, 'x').slice(0, -1))
  }

  /** Make the directory; returns its path with a separator. Throws UNAVAILABLE. */
  make(): string {
    const parent = temporaryDirectory()
    try {
      this.#scratch ??= new ScratchDirectory(this.#host, parent)
      this.#scratch.make()
    } catch (cause) {
      throw new SpillwayError(
        'SPILLWAY_UNAVAILABLE',
        `the log of ${this.#directory} does not fit in the memory there is for it, and no files can be made in ${parent}: ${(cause as Error).message}. ` +
        'Raise the budget, or set TMPDIR to a directory that can be written',
        { cause, details: { directory: this.#directory, temporaryDirectory: parent } },
      )
    }
    return this.#host.join(this.#scratch.place, 'x').slice(0, -1)
  }

  close(): void {
    this.#scratch?.close()
  }
}

/** Later versions exist in memory only. */
export class ReadOnlyManifests extends NoManifests {
  readonly #files: ManifestStore
  #stored: Version | undefined

  constructor(host: Pick<Host, 'files' | 'join'>, directory: string, kernels: Kernels) {
    super()
    this.#files = new ManifestStore(host, directory, kernels)
  }

  override get stored(): Version | undefined { return this.#stored }
  override get newestPath(): string { return this.#files.newestPath }
  override get newestNumber(): number { return this.#files.newestNumber }
  override load(names: readonly string[]): Version | undefined {
    return this.#stored = this.#files.load(names)
  }
}

/** Removes only its own files. */
export class ReadOnlyObsoleteFiles extends ObsoleteFiles {
  readonly #spill: ReadOnlyFiles

  constructor(files: HostFiles, directory: string, spill: ReadOnlyFiles) {
    super(files, directory)
    this.#spill = spill
  }

  override now(path: string): void {
    if (this.#spill.owns(path)) super.now(path)
  }

  override soon(path: string): void {
    if (this.#spill.owns(path)) super.soon(path)
  }
}

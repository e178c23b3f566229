/**
 * Where a store that was opened for reading keeps what it may not put into its own directory, and what takes the place of the parts
 * that would change something there.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Host, HostFiles } from '../../host/host.ts'
import { temporaryDirectory } from '../../host/node/temporary-directory.ts'
import { ManifestStore } from '../../manifest/manifest-store.ts'
import type { Version } from '../../manifest/version.ts'
import { ScratchDirectory } from '../../host/scratch-directory.ts'
import { ObsoleteFiles } from '../state/obsolete-files.ts'
import { NoManifests } from '../../manifest/no-manifests.ts'

/** Tables of its own have numbers that no writer of the store comes to. */
const MIN_NUMBER = 2 ** 30

/** Tables of what the log holds and memory does not. No directory is made before the first of them. */
export class ReadOnlyFiles {
  readonly #host: Host
  readonly #directory: string
  #scratch: ScratchDirectory | undefined
  #from = Infinity

  /** `directory`: that of the store. */
  constructor(host: Host, directory: string) {
    this.#host = host
    this.#directory = directory
  }

  /** The first number of a table of its own, where the store's own end before `next`. */
  begin(next: number): number {
    return this.#from = Math.max(MIN_NUMBER, next)
  }

  /** Where the table of that number is. */
  directoryOf(number: number): string {
    return number >= this.#from && this.#scratch !== undefined ? this.#scratch.place : this.#directory
  }

  /** Whether the file is one of its own. */
  owns(path: string): boolean {
    return this.#scratch !== undefined && path.startsWith(this.#host.join(this.#scratch.place, 'x').slice(0, -1))
  }

  /** Have a directory; returns its path, with the separator behind it. Throws UNAVAILABLE. */
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

/** The newest manifest counts; further versions are in memory alone. */
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

/** Removes what is its own, and nothing else. */
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

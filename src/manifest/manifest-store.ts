/**
 * The sequence of manifests in a directory: the newest is the state of the store.
 *
 * Invariants
 * 1. A manifest is created put-if-absent and durably, whole or not at all, and never changed.
 * 2. Manifest n + 1 is written by who last read manifest n: a second writer finds its number taken and is fenced out.
 * 3. Older manifests are removed only after a newer one is durable.
 *
 * The same protocol works on an object store that has a conditional put.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../base/kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import { decodeVersion, encodeVersion } from './codec.ts'
import { manifestName, parseName } from './names.ts'
import type { Version } from './version.ts'

export class ManifestStore {
  readonly #host: Host
  readonly #directory: string
  readonly #kernels: Kernels
  #newest = 0
  bytesWritten = 0

  constructor(host: Host, directory: string, kernels: Kernels) {
    this.#host = host
    this.#directory = directory
    this.#kernels = kernels
  }

  /** The newest version, or undefined in a directory without any. `names` is the directory's listing. */
  load(names: readonly string[]): Version | undefined {
    let newest = 0
    for (const name of names) {
      const { kind, number } = parseName(name)
      if (kind === 'manifest' && number > newest) newest = number
    }
    if (newest === 0) return undefined
    const path = this.#path(newest)
    const version = decodeVersion(this.#host.files.readAll(path), newest, path, this.#kernels)
    this.#newest = newest
    return version
  }

  /** Make this version the newest. Throws FENCED when another writer got there first; then nothing was changed. */
  commit(version: Version): void {
    const bytes = encodeVersion(version, this.#kernels)
    const path = this.#path(version.number)
    try {
      this.#host.files.publish(path, bytes)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error
      throw new SpillwayError(
        'SPILLWAY_FENCED',
        `another process has written ${path}: this one (epoch ${version.epoch}) no longer owns the store. Close it and open it again`,
        { cause: error, details: { path, epoch: version.epoch } },
      )
    }
    const previous = this.#newest
    this.#newest = version.number
    this.bytesWritten += bytes.length
    if (previous > 0) this.#host.files.remove(this.#path(previous))
  }

  #path(number: number): string {
    return this.#host.join(this.#directory, manifestName(number))
  }
}

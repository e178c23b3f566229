/**
 * The sequence of manifests in a directory: the newest is the state of the store.
 *
 * Invariants
 * 1. A manifest is created put-if-absent and durably, whole or not at all, and never changed.
 * 2. Manifest n + 1 is written by who last read manifest n: a second writer finds its number taken, or free again below newer
 *    ones, and is fenced out.
 * 3. Older manifests are removed only after a newer one is durable.
 *
 * The same protocol works on an object store that has a conditional put.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import { manifestName, parseName } from '../base/file-names.ts'
import type { Kernels } from '../base/kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import { decodeVersion, encodeVersion } from './codec.ts'
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
    const newest = this.#newestOf(names)
    if (newest === 0) return undefined
    const path = this.#path(newest)
    const version = decodeVersion(this.#host.files.readAll(path), newest, path, this.#kernels)
    this.#newest = newest
    return version
  }

  /** Read the newest manifest back and check it; returns its bytes. Throws CorruptionError. */
  verify(): number {
    const path = this.newestPath
    let bytes: Uint8Array
    try {
      bytes = this.#host.files.readAll(path)
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'ENOENT') throw cause
      throw new CorruptionError(path, 0, 'the manifest is missing', { cause })
    }
    decodeVersion(bytes, this.#newest, path, this.#kernels)
    return bytes.length
  }

  get newestPath(): string { return this.#path(this.#newest) }

  /**
   * Make this version the newest. Throws FENCED when another writer got there first; then nothing was changed. After any other
   * error the version may be there or not: what it names may be removed only if its file does not exist.
   */
  commit(version: Version): void {
    const bytes = encodeVersion(version, this.#kernels)
    const path = this.#path(version.number)
    try {
      this.#host.files.publish(path, bytes)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error
      throw fenced(path, version.epoch, error)
    }
    // Who has gone further has removed this number, but not its newest.
    if (this.#newestOf(this.#host.files.list(this.#directory)) > version.number) {
      this.#removeQuietly(version.number)
      throw fenced(path, version.epoch)
    }
    const previous = this.#newest
    this.#newest = version.number
    this.bytesWritten += bytes.length
    // The newer one counts already: whether this works is no longer the commit's business, and recovery tries again.
    if (previous > 0) this.#removeQuietly(previous)
  }

  #removeQuietly(number: number): void {
    try {
      this.#host.files.remove(this.#path(number))
    } catch {
      // Costs a few bytes of disk.
    }
  }

  #newestOf(names: readonly string[]): number {
    let newest = 0
    for (const name of names) {
      const { kind, number } = parseName(name)
      if (kind === 'manifest' && number > newest) newest = number
    }
    return newest
  }

  #path(number: number): string {
    return this.#host.join(this.#directory, manifestName(number))
  }
}

function fenced(path: string, epoch: number, cause?: unknown): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_FENCED',
    `another process has written ${path}: this one (epoch ${epoch}) no longer owns the store. Close it and open it again`,
    { cause, details: { path, epoch } },
  )
}

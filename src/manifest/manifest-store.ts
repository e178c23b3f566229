/**
 * The sequence of manifests in a directory: the newest is the state of the store.
 *
 * Invariants
 * 1. A manifest is created put-if-absent and durably, whole or not at all, and never changed.
 * 2. Manifest n + 1 is written by who last read manifest n: a second writer finds its number taken, or free again below newer
 *    ones, and is fenced out.
 * 3. Older manifests are removed only after a newer one is durable.
 *
 * A manifest is written in one call (`commit`), or by a job (`encode`, then `settle` or `failure`), while nothing else is committed.
 *
 * The same protocol works on an object store that has a conditional put.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import { manifestName, newestManifest } from '../base/file-names.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import { decodeVersion, encodeVersion } from './codec.ts'
import { Unlisted } from './unlisted.ts'
import type { Version } from './version.ts'

/** A manifest as it is to be put into the directory. */
export interface NewManifest {
  readonly version: Version
  readonly directory: string
  readonly path: string
  readonly bytes: Uint8Array
}

export class ManifestStore {
  readonly #host: Pick<Host, 'files' | 'join'>
  readonly #directory: string
  readonly #kernels: Kernels
  #newest = 0
  bytesWritten = 0

  constructor(host: Pick<Host, 'files' | 'join'>, directory: string, kernels: Kernels) {
    this.#host = host
    this.#directory = directory
    this.#kernels = kernels
  }

  /** The newest version, or undefined in a directory without any. `names` is the directory's listing. */
  load(names: readonly string[]): Version | undefined {
    const newest = newestManifest(names)
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

  /** Whether the manifest of this number is there. */
  exists(number: number): boolean { return this.#host.files.exists(this.#path(number)) }

  /** The number of the one that was loaded or written last. */
  get newestNumber(): number { return this.#newest }

  get newestPath(): string { return this.#path(this.#newest) }

  /**
   * Make this version the newest. Throws FENCED when another writer got there first; then nothing was changed; `Unlisted` when it is
   * there and durable, but may not be the newest. After any other error the version may be there or not: what it names may be removed only if its file does not exist.
   */
  commit(version: Version): void {
    const manifest = this.encode(version)!
    try {
      this.#host.files.publish(manifest.path, manifest.bytes)
    } catch (error) {
      throw this.failure(manifest, error)
    }
    this.settle(manifest)
  }

  /** What makes this version the newest once it is published. Undefined: nothing needs to be. */
  encode(version: Version): NewManifest | undefined {
    return { version, directory: this.#directory, path: this.#path(version.number), bytes: encodeVersion(version, this.#kernels) }
  }

  /**
   * It was published, and the largest number of a manifest in the directory was `newest` after that: looked up if it is not given.
   * Throws FENCED as `commit` does, and `Unlisted` when the directory cannot be listed: it does not count then, and nothing was changed.
   */
  settle({ version: { number, epoch }, path, bytes }: NewManifest, newest: number = this.#newestNow(path)): void {
    // Who has gone further has removed this number, but not its newest.
    if (newest > number) {
      this.#removeSoon(number)
      throw fenced(path, epoch)
    }
    const previous = this.#newest
    this.#newest = number
    this.bytesWritten += bytes.length
    // The newer one counts already: whether this works is no longer the commit's business, and recovery tries again.
    if (previous > 0) this.#removeSoon(previous)
  }

  /** What `commit` would have thrown for this error of publishing it. */
  failure({ version, path }: NewManifest, error: unknown): Error {
    return (error as { code?: unknown }).code === 'EEXIST' ? fenced(path, version.epoch, error) : error as Error
  }

  /**
   * Nobody knows how far the job came that was to publish it, and it may go on still: publish it in this call, whoever was first.
   * Throws as `commit` does.
   */
  publishAgain(manifest: NewManifest): void {
    const { files } = this.#host
    const { directory, path, bytes } = manifest
    try {
      files.publish(path, bytes)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST' || !isSame(files.readAll(path), bytes)) throw this.failure(manifest, error)
      const file = files.openWrite(path)
      try {
        // The same bytes once more: a sync that failed may have been told to who wrote them, and then this one would say nothing of them.
        file.writeSync(bytes, 0, bytes.length, 0)
        file.syncSync()
      } finally {
        file.close()
      }
      files.syncDirectory(directory)
    }
    this.settle(manifest)
  }

  #newestNow(path: string): number {
    try {
      return newestManifest(this.#host.files.list(this.#directory))
    } catch (cause) {
      throw new Unlisted(path, cause)
    }
  }

  /** Remove one that a newer one has made superfluous. */
  remove(number: number): void { this.#removeSoon(number) }

  /** A manifest's number is not given twice. */
  #removeSoon(number: number): void {
    // What stays costs a few bytes of disk.
    this.#host.files.removeSoon(this.#path(number), () => {})
  }

  #path(number: number): string {
    return this.#host.join(this.#directory, manifestName(number))
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function fenced(path: string, epoch: number, cause?: unknown): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_FENCED',
    `another process has written ${path}: this one (epoch ${epoch}) no longer owns the store. Close it and open it again`,
    { cause, details: { path, epoch } },
  )
}

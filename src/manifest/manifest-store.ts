/**
 * The sequence of manifests in a directory: the newest is the state of the store.
 *
 * Invariants
 * 1. A manifest is created put-if-absent and durably, whole or not at all, and never changed.
 * 2. Manifest n + 1 is written by the last reader of manifest n: a second writer finds its number taken, or newer ones, and is
 *    fenced.
 * 3. Older manifests are removed only after a newer one is durable.
 *
 * A manifest is written in one call (`commit`), or by a job (`encode`, then `settle` or `failure`) while nothing else commits. The
 * protocol also works on an object store with a conditional put.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import { manifestName, newestManifest } from '../base/file-names.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { Host } from '../host/host.ts'
import { decodeVersion, encodeVersion } from './codec.ts'
import { Unlisted } from './unlisted.ts'
import type { Version } from './version.ts'

/** A manifest ready to publish. */
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

  /** The newest version; undefined: none. `names`: the directory's listing. */
  load(names: readonly string[]): Version | undefined {
    const newest = newestManifest(names)
    if (newest === 0) return undefined
    const path = this.#path(newest)
    const version = decodeVersion(this.#host.files.readAll(path), newest, path, this.#kernels)
    this.#newest = newest
    return version
  }

  /** Read and check the newest manifest; returns its bytes. Throws CorruptionError. */
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

  exists(number: number): boolean { return this.#host.files.exists(this.#path(number)) }

  /** Of the manifest loaded or written last. */
  get newestNumber(): number { return this.#newest }

  get newestPath(): string { return this.#path(this.#newest) }

  /**
   * Make this version the newest. Throws FENCED when another writer was first, and changes nothing; `Unlisted` when it is durable
   * but may not be the newest. After any other error it may exist: its files may be removed only if its own does not exist.
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

  /** Prepare to publish this version; undefined: nothing to publish. */
  encode(version: Version): NewManifest | undefined {
    return { version, directory: this.#directory, path: this.#path(version.number), bytes: encodeVersion(version, this.#kernels) }
  }

  /**
   * It was published; `newest` is the largest manifest number in the directory after that (looked up if missing). Throws FENCED as
   * `commit` does, and `Unlisted` when the directory cannot be listed: then it does not count.
   */
  settle({ version: { number, epoch }, path, bytes }: NewManifest, newest: number = this.#newestNow(path)): void {
    // A later writer has removed this number, but not its newest.
    if (newest > number) {
      this.#removeSoon(number)
      throw fenced(path, epoch)
    }
    const previous = this.#newest
    this.#newest = number
    this.bytesWritten += bytes.length
    // The newer one counts already; recovery removes what is left.
    if (previous > 0) this.#removeSoon(previous)
  }

  /** The error `commit` would throw for this one. */
  failure({ version, path }: NewManifest, error: unknown): Error {
    return (error as { code?: unknown }).code === 'EEXIST' ? fenced(path, version.epoch, error) : error as Error
  }

  /**
   * The job that was to publish it vanished and may still run: publish it in this call, whichever comes first. Throws as `commit`
   * does.
   */
  publishAgain(manifest: NewManifest): void {
    const { files } = this.#host
    const { directory, path, bytes } = manifest
    try {
      files.publish(path, bytes)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST' || !isSame(files.readAll(path), bytes)) throw this.failure(manifest, error)
      // The same bytes in a new file: a sync of the one that is there may have failed, and then a later one proves nothing of it.
      const copyPath = this.#host.join(directory, `tmp-again-${manifest.version.number}`)
      files.remove(copyPath)
      const copy = files.create(copyPath)
      try {
        copy.writeSync(bytes, 0, bytes.length, 0)
        copy.syncSync()
      } finally {
        copy.close()
      }
      files.rename(copyPath, path)
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

  /** Remove a superseded manifest. */
  remove(number: number): void { this.#removeSoon(number) }

  /** Numbers are never reused. */
  #removeSoon(number: number): void {
    // A remaining file costs a few bytes of disk.
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

/** The files of a store: where they are, their numbers, and how they are removed. All access goes through the directory that was opened. */
import { logName, tableName, valueName } from '../../base/file-names.ts'
import type { DirectoryReference, HostFiles } from '../../host/host.ts'
import type { ManifestStore } from '../../manifest/manifest-store.ts'
import type { Version } from '../../manifest/version.ts'
import type { ObsoleteFiles } from './obsolete-files.ts'
import type { Ownership } from './ownership.ts'

/** What of a store's files depends on how it was opened. */
export interface StorePlace {
  readonly path: string
  readonly files: HostFiles
  /** For jobs. Undefined: by its path alone. */
  readonly reference: DirectoryReference | undefined
  /** See `HostDirectory`. Absent: nothing in it outlives a crash. */
  readonly mountId?: string
  readonly join: (directory: string, name: string) => string
  readonly manifests: Manifests
  readonly obsolete: ObsoleteFiles
  /** Directory of a table, where not all are in the store's own. */
  readonly tableDirectory?: (number: number) => string
  /** The first number for files this opening makes, where those in the directory end before `next`. Default: `next`. */
  readonly firstOwnNumber?: (next: number) => number
  /** Called when the store has given everything back. */
  readonly close?: () => void
}

/** `stored`: the manifest loaded last, for a store whose further versions exist in memory only. */
export type Manifests = Pick<ManifestStore, keyof ManifestStore> & { readonly stored?: Version | undefined }

export class StoreFiles {
  readonly directory: string
  /** The operations of the host, on the directory that was opened. */
  readonly io: HostFiles
  readonly reference: DirectoryReference | undefined
  readonly mountId: string
  readonly manifests: Manifests
  readonly obsolete: ObsoleteFiles
  /** The next free file number. Shared with the worker. */
  readonly nextNumber = new Int32Array(new SharedArrayBuffer(4))
  /** Numbers of all log segments on disk, ascending. */
  logs: number[] = []
  /** Value files that are not durable yet; they must be before the log that refers to them is. */
  readonly unsyncedValues = new Set<number>()
  readonly #place: StorePlace
  readonly #ownership: Ownership

  constructor(place: StorePlace, ownership: Ownership) {
    this.#place = place
    this.#ownership = ownership
    this.directory = place.path
    this.io = place.files
    this.reference = place.reference
    this.mountId = place.mountId ?? ''
    this.manifests = place.manifests
    this.obsolete = place.obsolete
  }

  tablePath(number: number): string {
    const { join, tableDirectory } = this.#place
    return join(tableDirectory?.(number) ?? this.directory, tableName(number))
  }

  logPath(number: number): string { return this.#place.join(this.directory, logName(number)) }
  valuePath(number: number): string { return this.#place.join(this.directory, valueName(number)) }
  /** The first number for files this opening makes, where those in the directory end before `next`. */
  firstOwnNumber(next: number): number { return this.#place.firstOwnNumber?.(next) ?? next }
  close(): void { this.#place.close?.() }
  takeNumber(): number { return Atomics.add(this.nextNumber, 0, 1) }

  /** Remove an obsolete file, now. If that fails, the next opening removes it. */
  discard(path: string): void {
    if (this.#ownership.isOurs) this.obsolete.now(path)
  }

  /** Remove an obsolete file off the main thread. Its number must never be used again. */
  discardSoon(path: string): void {
    if (this.#ownership.isOurs) this.obsolete.soon(path)
  }
}

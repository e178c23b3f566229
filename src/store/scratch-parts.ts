/** What takes the place of manifests and log in a store that does not outlive its process. */
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { Version } from '../manifest/version.ts'
import type { ScratchDirectory } from '../pages/scratch-directory.ts'
import { Background } from './background.ts'
import type { Core } from './core.ts'
import type { Segments } from './memtable-exchange.ts'
import type { MemtableSlot } from './memtables.ts'

/** The version in memory is the only one. */
export class NoManifests implements Pick<ManifestStore, keyof ManifestStore> {
  bytesWritten = 0
  /** The manifest that was loaded last, of a store that goes on from it in memory. */
  get stored(): Version | undefined { return undefined }
  load(_names: readonly string[]): Version | undefined { return undefined }
  verify(): number { return 0 }
  exists(): boolean { return false }
  get newestNumber(): number { return 0 }
  get newestPath(): string { return '' }
  commit(): void {}
  encode(): undefined { return undefined }
  settle(): void {}
  remove(): void {}
  failure(_: unknown, error: unknown): Error { return error as Error }
  publishAgain(): void {}
}

/** Numbers for memtables to be told apart by; nothing is written. */
export class NoLog implements Segments {
  readonly current = { writtenBytes: 0 }
  #number = 1
  begin(): number { return ++this.#number }
}

/** Sees to it that there is a directory before a worker makes files in it. */
export class ScratchBackground extends Background {
  readonly #directory: ScratchDirectory

  constructor(core: Core, directory: ScratchDirectory) {
    super(core)
    this.#directory = directory
  }

  override flush(slot: MemtableSlot): void {
    this.#directory.make()
    super.flush(slot)
  }
}

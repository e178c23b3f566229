/** Takes the place of the manifests of a store whose versions exist in memory only. */
import type { ManifestStore } from './manifest-store.ts'
import type { Version } from './version.ts'

export class NoManifests implements Pick<ManifestStore, keyof ManifestStore> {
  bytesWritten = 0
  /** The manifest loaded last, for a store that continues from it in memory. */
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

/** Takes the place of log and manifests in a store that does not outlive its process. */
import type { Host } from '../../host/host.ts'
import { NoManifests } from '../../manifest/no-manifests.ts'
import type { Segments } from '../write/memtable-rotation.ts'
import { ObsoleteFiles } from '../state/obsolete-files.ts'
import type { StorePlace } from '../state/store-files.ts'

/** A directory of temporary files: no manifests, no reference for jobs. */
export function scratchPlace({ files, join }: Host, path: string): StorePlace {
  return { path, files, reference: undefined, join, manifests: new NoManifests(), obsolete: new ObsoleteFiles(files, path) }
}

/** Numbers memtables; writes nothing. */
export class NoLog implements Segments {
  readonly current = { writtenBytes: 0 }
  #number = 1
  begin(): number { return ++this.#number }
}

/** What takes the place of the log in a store that does not outlive its process. */
import type { ScratchDirectory } from '../../host/scratch-directory.ts'
import type { Host } from '../../host/host.ts'
import { NoManifests } from '../../manifest/no-manifests.ts'
import { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import type { Segments } from '../write/memtable-rotation.ts'
import { ObsoleteFiles } from '../state/obsolete-files.ts'
import type { StorePlace } from '../state/store-files.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'

/** A directory of temporary files: no manifests, no reference for jobs. */
export function scratchPlace({ files, join }: Host, path: string): StorePlace {
  return { path, files, reference: undefined, join, manifests: new NoManifests(), obsolete: new ObsoleteFiles(files, path) }
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

  constructor(core: StoreState, directory: ScratchDirectory) {
    super(core)
    this.#directory = directory
  }

  override flush(slot: MemtableSlot): void {
    this.#directory.make()
    super.flush(slot)
  }
}

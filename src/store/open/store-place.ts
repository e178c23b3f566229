/** Where a store keeps its files: its directory, or for reading a scratch directory. */
import type { Kernels } from '../../kernels/kernels.ts'
import type { Host, HostDirectory } from '../../host/host.ts'
import { ManifestStore } from '../../manifest/manifest-store.ts'
import { ObsoleteFiles } from '../state/obsolete-files.ts'
import type { StorePlace } from '../state/store-files.ts'
import { ReadOnlyManifests, ReadOnlyObsoleteFiles } from './read-only-files.ts'
import type { ReadOnlyFiles } from './read-only-files.ts'

export function writablePlace({ join }: Host, directory: HostDirectory, kernels: Kernels): StorePlace {
  const { path, files, reference } = directory
  return { path, files, reference, mountId: directory.mountId(), join, manifests: new ManifestStore({ files, join }, path, kernels), obsolete: new ObsoleteFiles(files, path) }
}

export function readOnlyPlace(host: Host, directory: HostDirectory, kernels: Kernels, spill: ReadOnlyFiles): StorePlace {
  const { join } = host
  const { path, files, reference } = directory
  return {
    path, files, reference, mountId: directory.mountId(), join,
    manifests: new ReadOnlyManifests({ files, join }, path, kernels),
    obsolete: new ReadOnlyObsoleteFiles(host.files, path, spill),
    tableDirectory: number => spill.directoryOf(number),
    firstOwnNumber: next => spill.begin(next),
    close: () => spill.close(),
  }
}

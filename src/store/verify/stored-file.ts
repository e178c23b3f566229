/** Checks of single files, from first to last byte, trusting only their own number. */
import { CorruptionError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Host, HostFile, HostFiles } from '../../host/host.ts'
import { decodeVersion } from '../../manifest/codec.ts'
import type { TableRecord, Version } from '../../manifest/version.ts'
import type { Account, Lease } from '../../memory/budget.ts'
import type { ResidentProperties } from '../../table/properties.ts'
import { TableReader } from '../../table/table-reader.ts'

/** Shared by all checks. */
export interface VerifyParts {
  readonly host: Host
  /** Of the directory. */
  readonly files: HostFiles
  readonly directory: string
  /** See `HostDirectory`. */
  readonly mountId: string
  readonly kernels: Kernels
  /** For a frame of the log. */
  readonly buffer: Uint8Array
  /** For the resident part of a checked table, and for the manifest. */
  readonly account: Account
}

/** Larger than any real manifest; not read into memory. */
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024
/** A manifest in memory: its text, the parsed JSON, and the version. */
const MANIFEST_FACTOR = 6

/** `lease`: for the version, while it is kept. */
export function checkManifest({ files, kernels, account }: VerifyParts, path: string, number: number): { version: Version, bytes: number, lease: Lease } {
  const bytes = withFile(files, path, file => file.size())
  if (bytes > MAX_MANIFEST_BYTES) throw new CorruptionError(path, 0, `a manifest of ${bytes} bytes`)
  const lease = account.lease(MANIFEST_FACTOR * bytes)
  try {
    return { version: decodeVersion(files.readAll(path), number, path, kernels), bytes, lease }
  } catch (error) {
    lease.release()
    throw error
  }
}

/** `onOpen` gets the properties before the rest is checked. `record`: the table's record in the manifest. */
export function checkTable(
  { files, kernels, account }: VerifyParts, path: string, number: number, record: TableRecord | undefined, onOpen: (properties: ResidentProperties) => void,
): ResidentProperties {
  const leases: Lease[] = []
  let leasedBytes = 0
  try {
    return withFile(files, path, file => {
      const size = file.size()
      if (record !== undefined && size !== record.fileBytes) {
        throw new CorruptionError(path, Math.min(size, record.fileBytes), `the table has ${size} bytes, the manifest says ${record.fileBytes}`)
      }
      const admit = (residentBytes: number): void => {
        leases.push(account.lease(residentBytes - leasedBytes))
        leasedBytes = residentBytes
      }
      const reader = TableReader.open(file, number, kernels, { holdsRanges: false, admit })
      const { properties } = reader
      onOpen(properties)
      if (record !== undefined && properties.entries !== record.entries) {
        throw new CorruptionError(path, 0, `the table holds ${properties.entries} entries, the manifest says ${record.entries}`)
      }
      reader.verify(kernels)
      return properties
    })
  } finally {
    for (const lease of leases) lease.release()
  }
}

export function withFile<T>(files: HostFiles, path: string, use: (file: HostFile) => T): T {
  const file = files.openRead(path)
  try {
    return use(file)
  } finally {
    file.close()
  }
}

/** The files of a store as plain bytes, to be changed and opened again. */
import { SimDisk } from '../../host/sim/sim-disk.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { parseName } from '../../base/file-names.ts'
import type { FileKind } from '../../base/file-names.ts'
import { DIRECTORY, simHost } from './sim.ts'

export type StoredFiles = ReadonlyMap<string, Uint8Array>

export function filesOf(host: SimHost): Map<string, Uint8Array> {
  return new Map(host.files.list(DIRECTORY).map(name => [name, host.files.readAll(host.join(DIRECTORY, name))]))
}

/** A machine with these files; `reboot`: another boot than the one that wrote them. */
export function hostWith(files: StoredFiles, reboot = false): SimHost {
  const disk = new SimDisk()
  if (reboot) disk.boots = 2
  const host = simHost({ disk })
  host.files.makeDirectory(DIRECTORY)
  for (const [name, bytes] of files) {
    const file = host.files.create(host.join(DIRECTORY, name))
    file.writeSync(bytes, 0, bytes.length, 0)
    file.syncSync()
    file.close()
  }
  host.files.syncDirectory(DIRECTORY)
  return host
}

/** A copy with one file changed. */
export function withFile(files: StoredFiles, name: string, bytes: Uint8Array | undefined): Map<string, Uint8Array> {
  const changed = new Map(files)
  if (bytes === undefined) changed.delete(name)
  else changed.set(name, bytes)
  return changed
}

export function flipped(bytes: Uint8Array, offset: number, mask: number): Uint8Array {
  const copy = bytes.slice()
  copy[offset]! ^= mask
  return copy
}

export function namesOfKind(files: StoredFiles, kind: FileKind): string[] {
  return [...files.keys()].filter(name => parseName(name).kind === kind)
}

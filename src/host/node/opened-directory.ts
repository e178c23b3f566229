/** An open directory of the real file system: see `place.ts`. */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import type { DirectoryReference, HostDirectory, HostFiles, HostLock } from '../host.ts'
import type { NodeFiles } from './files.ts'
import { checkUnlocked } from './lock-look.ts'
import { lockDirectory } from './lock.ts'
import { mountId } from './mount-id.ts'
import { isSame } from './place.ts'

export class OpenedDirectory implements HostDirectory {
  readonly path: string
  readonly files: HostFiles
  readonly reference: DirectoryReference

  constructor(path: string, files: NodeFiles) {
    this.path = path
    this.reference = open(path)
    this.files = files.within(this.reference)
  }

  mountId(): string {
    return mountId(BigInt(this.reference.device))
  }

  lock(): Promise<HostLock> {
    return lockDirectory(this.reference)
  }

  checkUnlocked(): Promise<void> {
    return checkUnlocked(this.reference)
  }

  close(): void {
    if (this.reference.descriptor >= 0) closeSync(this.reference.descriptor)
  }
}

function open(path: string): DirectoryReference {
  // Windows opens no directories, and refuses to rename or remove one with open files.
  const descriptor = process.platform === 'win32' ? -1 : openSync(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0))
  try {
    const { dev, ino } = descriptor < 0 ? statSync(path, { bigint: true }) : fstatSync(descriptor, { bigint: true })
    const place = { path, device: String(dev), inode: String(ino), descriptor }
    const root = `/proc/self/fd/${descriptor}`
    return { ...place, root: process.platform === 'linux' && isSame(root, place) ? root : '' }
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor)
    throw error
  }
}

/**
 * The files of a simulated disk as a host sees them: every call is counted, may fail, takes virtual time and is logged.
 *
 * Invariants
 * 1. After a crash of the disk every call fails with EIO.
 * 2. Asynchronous reads and syncs end some turns later, in an order drawn from the seed; a crash before that finds them undone.
 */
import { posix } from 'node:path'
import { hashKey } from '../../base/hash.ts'
import { errorCode, fileError } from '../file-error.ts'
import { directoryLost } from '../fenced-error.ts'
import type { DirectoryReference, HostFile, HostFiles, JobWait } from '../host.ts'
import type { Random } from './random.ts'
import { SimDisk } from './sim-disk.ts'
import { SimInode } from './sim-inode.ts'
import type { SimTime } from './sim-time.ts'

/** Maximum turns of an asynchronous operation. */
const MAX_TURNS = 4

export class SimFiles implements HostFiles {
  readonly disk: SimDisk
  readonly time: SimTime
  readonly random: Random
  readonly #epoch: number
  readonly #directory: DirectoryReference | undefined

  constructor(disk: SimDisk, time: SimTime, random: Random, epoch = disk.epoch, directory?: DirectoryReference) {
    this.disk = disk
    this.time = time
    this.random = random
    this.#epoch = epoch
    this.#directory = directory
  }

  within(directory: DirectoryReference | undefined): SimFiles {
    return directory === undefined ? this : new SimFiles(this.disk, this.time, this.random, this.#epoch, directory)
  }

  openRead(path: string): HostFile {
    return this.#open(path, false)
  }

  openWrite(path: string): HostFile {
    return this.#open(path, true)
  }

  create(path: string): HostFile {
    const normal = this.begin('create', path)
    this.#checkDirectory()
    const inode = new SimInode()
    this.disk.enter(this.at(normal), inode, 'open')
    return this.disk.wrapFile(new SimFile(this, normal, inode, true))
  }

  publish(path: string, bytes: Uint8Array): void {
    for (const _ of this.publishInSteps(path, bytes));
  }

  *publishInSteps(path: string, bytes: Uint8Array): Generator<JobWait | void, void, void> {
    const normal = this.begin('publish write', path, describe(bytes, 0, bytes.length))
    this.#checkDirectory()
    const temporary = posix.join(posix.dirname(this.at(normal)), `tmp-${this.random.next32().toString(16)}`)
    const inode = new SimInode()
    this.disk.enter(temporary, inode, 'open')
    try {
      this.disk.write(inode, bytes, 0, normal)
      yield
      inode.applySync(inode.capture())
      yield
      this.begin('publish link', path)
      this.disk.enter(this.at(normal), inode, 'link')
    } finally {
      // Impossible on a device that is gone.
      if (!this.disk.faults.isGone) this.disk.remove(temporary)
    }
    yield
    this.begin('publish sync', path)
    this.disk.syncEntry(this.at(normal))
  }

  readAll(path: string): Uint8Array {
    const normal = this.begin('readAll', path)
    const inode = this.disk.open(this.at(normal))
    const fault = this.disk.faults.unreadable(normal)
    if (fault !== undefined) throw fault
    return inode.content()
  }

  exists(path: string): boolean {
    this.check('stat', path)
    const at = this.at(SimDisk.normalize(path))
    return this.disk.find(at) !== undefined || this.disk.isDirectory(at)
  }

  list(directory: string): string[] {
    return this.disk.list(this.at(this.begin('list', directory)))
  }

  makeDirectory(path: string): void {
    this.disk.makeDirectory(this.begin('makeDirectory', path))
  }

  remove(path: string): void {
    const normal = this.begin('remove', path)
    this.#checkDirectory()
    this.disk.remove(this.at(normal))
  }

  rename(from: string, to: string): void {
    const normal = this.begin('rename', to)
    this.#checkDirectory()
    this.disk.replace(this.at(SimDisk.normalize(from)), this.at(normal))
  }

  removeSoon(path: string, failed: (error: Error) => void): void {
    try {
      this.remove(path)
    } catch (error) {
      failed(error as Error)
    }
  }

  async removed(): Promise<void> {}

  syncDirectory(path: string): void {
    this.disk.syncDirectory(this.at(this.begin('syncDirectory', path)))
  }

  *syncDirectoryInSteps(path: string): Generator<JobWait | void, void, void> {
    this.syncDirectory(path)
  }

  /** Throws after a crash. */
  check(syscall: string, path: string): void {
    if (this.#epoch !== this.disk.epoch) throw fileError('EIO', syscall, path, 'the simulated machine has crashed')
  }

  /** Count, time and log an operation; throws its fault. Returns the normal path. */
  begin(what: string, path: string, detail = ''): string {
    const normal = SimDisk.normalize(path)
    const fault = this.count(what, normal, detail)
    if (fault !== undefined) throw fault
    return normal
  }

  /** Count, time and log an operation; returns its fault. */
  count(what: string, path: string, detail: string): Error | undefined {
    this.check(what, path)
    this.disk.beforeOperation?.(what, path)
    const fault = this.disk.faults.next(what, path)
    this.time.tick()
    if (this.disk.isLogging) this.disk.log.push(`${what} ${path} ${detail}${fault === undefined ? '' : ' FAILS'}`)
    return fault
  }

  #open(path: string, isWritable: boolean): HostFile {
    const normal = this.begin(isWritable ? 'openWrite' : 'openRead', path)
    return this.disk.wrapFile(new SimFile(this, normal, this.disk.open(this.at(normal)), isWritable))
  }

  /** The path on the disk. */
  at(normal: string): string {
    if (this.#directory === undefined) return normal
    const { path, root } = this.#directory
    if (normal === path) return root
    return posix.dirname(normal) === path ? posix.join(root, posix.basename(normal)) : normal
  }

  #checkDirectory(): void {
    if (this.#directory !== undefined && this.disk.isRemoved(this.#directory.descriptor)) throw directoryLost(this.#directory.path, 'was removed')
  }
}

class SimFile implements HostFile {
  readonly path: string
  readonly #files: SimFiles
  readonly #inode: SimInode
  readonly #isWritable: boolean
  #isClosed = false

  constructor(files: SimFiles, path: string, inode: SimInode, isWritable: boolean) {
    this.#files = files
    this.path = path
    this.#inode = inode
    this.#isWritable = isWritable
  }

  size(): number {
    this.#check('fstat')
    return this.#inode.length
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#check('read')
    checkRange(target, offset, length, position)
    const fault = this.#countRead(length, position)
    if (fault !== undefined) throw fault
    return this.#inode.read(target, offset, length, position)
  }

  async read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.#check('read')
    checkRange(target, offset, length, position)
    const fault = this.#countRead(length, position)
    await this.#turns()
    this.#files.check('read', this.path)
    if (fault !== undefined) throw fault
    return this.#inode.read(target, offset, length, position)
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.#checkWrite('write')
    checkRange(source, offset, length, position)
    const disk = this.#files.disk
    const bytes = source.subarray(offset, offset + length)
    const detail = disk.isLogging ? `${position} ${describe(bytes, 0, length)}` : ''
    const fault = this.#files.count('write', this.path, detail)
    if (fault === undefined) {
      disk.write(this.#inode, bytes, position, this.path)
    } else {
      if (errorCode(fault) === 'EROFS') throw fault
      disk.write(this.#inode, bytes.subarray(0, this.#files.random.below(length + 1)), position, this.path)
      throw fault
    }
  }

  syncSync(): void {
    this.#check('fdatasync')
    const fault = this.#files.count('sync', this.path, '')
    const capture = this.#inode.capture()
    if (fault === undefined) {
      this.#inode.applySync(capture)
    } else {
      this.#inode.loseSync(capture)
      throw fault
    }
  }

  async sync(): Promise<void> {
    this.#check('fdatasync')
    const fault = this.#files.count('sync', this.path, '')
    const capture = this.#inode.capture()
    await this.#turns()
    this.#files.check('fdatasync', this.path)
    if (fault === undefined) {
      this.#inode.applySync(capture)
    } else {
      this.#inode.loseSync(capture)
      throw fault
    }
  }

  truncate(length: number): void {
    this.#checkWrite('ftruncate')
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError(`a length of ${length}`)
    const fault = this.#files.count('truncate', this.path, String(length))
    if (fault !== undefined) throw fault
    this.#files.disk.truncate(this.#inode, length, this.path)
  }

  close(): void {
    this.#isClosed = true
  }

  #countRead(length: number, position: number): Error | undefined {
    const fault = this.#files.count('read', this.path, `${position}+${length}`)
    return fault ?? this.#files.disk.faults.unreadable(this.path)
  }

  #turns(): Promise<void> {
    return new Promise(resolve => { this.#files.time.defer(this.#files.random.between(1, MAX_TURNS), resolve) })
  }

  #check(syscall: string): void {
    if (this.#isClosed) throw fileError('EBADF', syscall, this.path, 'the file was closed')
    this.#files.check(syscall, this.path)
  }

  #checkWrite(syscall: string): void {
    this.#check(syscall)
    if (!this.#isWritable) throw fileError('EBADF', syscall, this.path, 'the file is open for reading')
  }
}

function checkRange(bytes: Uint8Array, offset: number, length: number, position: number): void {
  const isFine = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && Number.isSafeInteger(position) &&
    offset >= 0 && length >= 0 && position >= 0 && offset + length <= bytes.length
  if (!isFine) throw new RangeError(`range ${offset}+${length} of ${bytes.length} bytes at position ${position}`)
}

/** Length and fingerprint, so that logs differ when bytes do. */
function describe(bytes: Uint8Array, start: number, end: number): string {
  return `${end - start} bytes ${hashKey(bytes, start, end).toString(16)}`
}

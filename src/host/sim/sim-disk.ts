/**
 * A simulated disk: directories and files in memory that know what would survive a power loss.
 *
 * Invariants
 * 1. A file's content is durable after a sync, a directory's entries after a sync of the directory, a new directory at once.
 * 2. Of the changes to a directory since its last sync a power loss keeps a prefix, as a journalled file system does. A finished
 *    `publish` survives anyway.
 * 3. A crash ends an epoch: files and hosts of an older epoch fail.
 *
 * The disk outlives its hosts: after a crash a new host is made over it.
 */
import { posix } from 'node:path'
import { fileError } from '../file-error.ts'
import type { HostFile, LockHolder } from '../host.ts'
import type { Random } from './random.ts'
import { SimFaults } from './sim-faults.ts'
import type { SimInode } from './sim-inode.ts'

interface DirectoryChange {
  name: string
  /** Undefined: the name was removed. */
  inode: SimInode | undefined
}

class SimDirectory {
  readonly id: number
  /** It may still be open. */
  isRemoved = false
  readonly entries = new Map<string, SimInode>()
  readonly durable = new Map<string, SimInode>()
  /** Since the last sync, in order. */
  changes: DirectoryChange[] = []

  constructor(id: number) {
    this.id = id
  }
}

/** A held lock. */
export interface SimClaim {
  readonly holder: LockHolder
}

/** Prefix of paths that name a directory by its number. */
const OPENED = '/.opened/'

export interface CrashOptions {
  /** Only the process dies: everything written survives. */
  lossless?: boolean
  /** The volume is detached and attached again: unsynced data is in danger, the machine goes on. */
  detaches?: boolean
}

export class SimDisk {
  readonly faults = new SimFaults()
  /** One line per operation, to compare two runs. */
  readonly log: string[] = []
  isLogging = true
  /** By the directory's number. */
  readonly locks = new Map<number, SimClaim>()
  /** Holders cannot be seen, as on a network file system: any process takes over. */
  holdersAreUnseen = false
  /** Called before each operation, to act as another process. */
  beforeOperation: ((what: string, path: string) => void) | undefined
  /** Replaces each file that is opened or made; for tests. */
  wrapFile: (file: HostFile) => HostFile = file => file
  epoch = 0
  boots = 1
  mounts = 0
  nextPid = 1000
  /** Processes that have not ended. */
  readonly running = new Set<number>()
  usedBytes = 0
  readonly #directories = new Map<string, SimDirectory>([['/', new SimDirectory(1)]])
  /** Open directories, with the paths they had then. */
  readonly #opened = new Map<number, { directory: SimDirectory, path: string }>()
  #nextId = 2

  /** Absolute, without '.', '..' and doubled slashes. */
  static normalize(path: string): string {
    return posix.resolve('/', path)
  }

  /** Number of a directory, and a path that finds it whatever its name becomes. */
  openDirectory(path: string): { id: number, root: string } {
    const directory = this.#directory(path, 'open')
    this.#opened.set(directory.id, { directory, path })
    return { id: directory.id, root: `${OPENED}${directory.id}` }
  }

  isRemoved(id: number): boolean { return this.#opened.get(id)!.directory.isRemoved }

  /** The new path must be free. */
  rename(from: string, to: string): void {
    if (this.isDirectory(to)) throw fileError('EEXIST', 'rename', to)
    for (const [path, directory] of [...this.#directories]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.#directories.delete(path)
      this.#directories.set(to + path.slice(from.length), directory)
    }
  }

  find(path: string): SimInode | undefined {
    return this.#at(posix.dirname(path))?.entries.get(posix.basename(path))
  }

  isDirectory(path: string): boolean {
    return this.#at(path) !== undefined
  }

  /** Throws the error of an open. */
  open(path: string): SimInode {
    const inode = this.find(path)
    if (inode === undefined) throw fileError(this.isDirectory(path) ? 'EISDIR' : 'ENOENT', 'open', this.#shown(path))
    return inode
  }

  /** The name must be free. */
  enter(path: string, inode: SimInode, syscall: string): void {
    const directory = this.#at(posix.dirname(path))
    if (directory === undefined || directory.isRemoved) throw fileError('ENOENT', syscall, this.#shown(path))
    const name = posix.basename(path)
    if (directory.entries.has(name) || this.isDirectory(path)) throw fileError('EEXIST', syscall, this.#shown(path))
    directory.entries.set(name, inode)
    directory.changes.push({ name, inode })
    if (inode.links++ === 0) this.usedBytes += inode.length
  }

  remove(path: string): void {
    const directory = this.#at(posix.dirname(path))
    const name = posix.basename(path)
    const inode = directory?.entries.get(name)
    if (directory === undefined || inode === undefined) {
      if (this.isDirectory(path)) throw fileError('EISDIR', 'unlink', path)
      return
    }
    directory.entries.delete(name)
    directory.changes.push({ name, inode: undefined })
    if (--inode.links === 0) this.usedBytes -= inode.length
  }

  /** Rename a file over another. */
  replace(from: string, to: string): void {
    const inode = this.open(from)
    const directory = this.#at(posix.dirname(to))
    if (directory === undefined || directory.isRemoved) throw fileError('ENOENT', 'rename', this.#shown(to))
    const name = posix.basename(to)
    const old = directory.entries.get(name)
    if (old !== undefined && --old.links === 0) this.usedBytes -= old.length
    directory.entries.set(name, inode)
    directory.changes.push({ name, inode })
    inode.links++
    this.remove(from)
  }

  /** Write-back of a file fails silently: see `SimInode.loseSync`. */
  failWriteBack(path: string): void {
    const inode = this.open(SimDisk.normalize(path))
    inode.loseSync(inode.capture())
  }

  /** The system evicts a file's pages: see `SimInode.evict`. */
  evict(path: string): void {
    this.open(SimDisk.normalize(path)).evict()
  }

  /** Write all, or the part that fits. */
  write(inode: SimInode, source: Uint8Array, position: number, path: string): void {
    const old = inode.length
    const room = Math.max(0, this.faults.capacityBytes - this.usedBytes)
    const isTooMuch = position + source.length - old > room
    inode.write(isTooMuch ? source.subarray(0, Math.max(0, old + room - position)) : source, position)
    if (inode.links > 0) this.usedBytes += inode.length - old
    if (isTooMuch) throw this.faults.full('write', path)
  }

  truncate(inode: SimInode, length: number, path: string): void {
    const growth = length - inode.length
    if (growth > this.faults.capacityBytes - this.usedBytes && growth > 0) throw this.faults.full('ftruncate', path)
    inode.truncate(length)
    if (inode.links > 0) this.usedBytes += growth
  }

  makeDirectory(path: string): void {
    if (this.find(path) !== undefined) throw fileError('EEXIST', 'mkdir', path)
    if (this.isDirectory(path)) return
    const parent = posix.dirname(path)
    if (this.find(parent) !== undefined) throw fileError('ENOTDIR', 'mkdir', path)
    this.makeDirectory(parent)
    this.#directories.set(path, new SimDirectory(this.#nextId++))
  }

  removeTree(path: string): void {
    if (this.find(path) !== undefined) throw fileError('ENOTDIR', 'rmdir', path)
    for (const [other, directory] of this.#directories) {
      if (other !== path && !other.startsWith(`${path}/`)) continue
      for (const name of [...directory.entries.keys()]) this.remove(posix.join(other, name))
      this.#directories.delete(other)
      directory.isRemoved = true
    }
  }

  list(path: string): string[] {
    const names = [...this.#directory(path, 'scandir').entries.keys()]
    for (const other of this.#directories.keys()) {
      if (other !== '/' && posix.dirname(other) === path) names.push(posix.basename(other))
    }
    return names.sort()
  }

  syncDirectory(path: string): void {
    const directory = this.#directory(path, 'fsync')
    for (const change of directory.changes) apply(directory.durable, change)
    directory.changes = []
  }

  /** Make one entry durable, whatever the state of its directory. */
  syncEntry(path: string): void {
    const directory = this.#directory(posix.dirname(path), 'fsync')
    const name = posix.basename(path)
    apply(directory.durable, { name, inode: directory.entries.get(name) })
    // Earlier changes of this name must not come back over it.
    directory.changes = directory.changes.filter(change => change.name !== name)
  }

  corrupt(path: string, offset: number, mask: number): void {
    const normal = SimDisk.normalize(path)
    this.open(normal).flip(offset, mask)
  }

  /**
   * End the epoch: by a power loss, which keeps, drops or tears unsynced data as `random` decides, or (`lossless`) by the death of
   * the process.
   */
  crash(random: Random, options: CrashOptions = {}): void {
    const lossless = options.lossless === true
    const inodes = new Set<SimInode>()
    for (const directory of this.#directories.values()) {
      if (!lossless) {
        const surviving = random.between(0, directory.changes.length)
        for (let i = 0; i < surviving; i++) apply(directory.durable, directory.changes[i]!)
        directory.entries.clear()
        for (const [name, inode] of directory.durable) directory.entries.set(name, inode)
        directory.changes = []
      }
      for (const inode of directory.entries.values()) inodes.add(inode)
    }
    this.usedBytes = 0
    for (const inode of inodes) {
      inode.links = 0
      if (!lossless) inode.crash(random)
      this.usedBytes += inode.length
    }
    for (const directory of this.#directories.values()) for (const inode of directory.entries.values()) inode.links++
    this.faults.clearFailAt()
    this.locks.clear()
    this.running.clear()
    this.epoch++
    if (options.detaches === true) this.mounts++
    else if (!lossless) this.boots++
    if (this.isLogging) this.log.push(lossless ? 'process dies' : options.detaches === true ? 'volume is detached' : 'power fails')
  }

  #directory(path: string, syscall: string): SimDirectory {
    const directory = this.#at(path)
    if (directory === undefined) throw fileError(this.find(path) === undefined ? 'ENOENT' : 'ENOTDIR', syscall, this.#shown(path))
    return directory
  }

  #at(path: string): SimDirectory | undefined {
    return path.startsWith(OPENED) ? this.#opened.get(Number(path.slice(OPENED.length)))?.directory : this.#directories.get(path)
  }

  /** The path the program knows. */
  #shown(path: string): string {
    if (!path.startsWith(OPENED)) return path
    const [id, ...names] = path.slice(OPENED.length).split('/')
    return [this.#opened.get(Number(id))!.path, ...names].join('/')
  }
}

function apply(entries: Map<string, SimInode>, change: DirectoryChange): void {
  if (change.inode === undefined) entries.delete(change.name)
  else entries.set(change.name, change.inode)
}

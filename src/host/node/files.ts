/**
 * Files of the real file system, over `node:fs`.
 *
 * Invariants
 * 1. Reads and writes are complete: a short read means the end of the file.
 * 2. A descriptor is closed only when no asynchronous operation uses it, so its number cannot come to mean another file.
 * 3. `publish` leaves the whole file or none. A crash may leave a file `tmp-*`, which any holder of the directory's lock may
 *    delete.
 * 4. A blocking sync also reports write-back errors of which another, unfinished sync of the file was informed: the system reports
 *    an error once to each open descriptor, so a file to be written has a second one, a witness.
 * 5. `within`: a path below the directory means the one that was opened; no other is changed.
 *
 * Asynchronous calls have failed if their error is truthy: on success Node passes null, Deno nothing.
 *
 * Cost: a synchronous call is one system call (1-4 us when cached); an asynchronous one goes through the thread pool (20-40 us).
 */
import { closeSync, fstatSync, fsyncSync, linkSync, mkdirSync, fsync, openSync, readdirSync, renameSync, rmSync, statSync, unlink, unlinkSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { errorCode } from '../file-error.ts'
import type { BeginSync, DirectoryReference, HostFile, HostFiles, JobWait, Syncable } from '../host.ts'
import { syncsAreRefused } from './permission.ts'
import { NodeFile, openTwice, readFully, unlinkQuietly } from './node-file.ts'
import { Place } from './place.ts'
import { Rewriting } from './rewriting.ts'

/** File systems without hard links (FAT, some network and user-space file systems, some containers). */
const NO_HARD_LINKS = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK', 'EINVAL', 'UNKNOWN'])

/** Platforms that cannot sync a directory. */
const NO_DIRECTORY_SYNC = new Set(
  process.platform === 'win32' ? ['EPERM', 'EACCES', 'EISDIR', 'EBADF', 'EINVAL'] : ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'],
)

/** Without file syncs there are no directory syncs: see `permission.ts`. */
const isWithoutSync = syncsAreRefused()

type LinkFunction = (from: string, to: string) => void

export class NodeFiles implements HostFiles {
  #removing = 0
  #waiting: (() => void)[] = []

  readonly #link: LinkFunction
  readonly #place: Place | undefined

  /** `link`, for tests: a file system without hard links. */
  constructor(link: LinkFunction = linkSync, place?: Place) {
    this.#link = link
    this.#place = place
  }

  within(directory: DirectoryReference | undefined): NodeFiles {
    return directory === undefined ? this : new NodeFiles(this.#link, new Place(directory))
  }

  openRead(path: string): HostFile {
    return this.#call(() => new NodeFile(path, openSync(this.#at(path), 'r')))
  }

  openWrite(path: string): HostFile {
    return this.#call(() => openTwice(path, this.#at(path), 'r+'))
  }

  create(path: string): HostFile {
    return this.#change(() => openTwice(path, this.#at(path), 'wx+'))
  }

  publish(path: string, bytes: Uint8Array): void {
    for (const _ of this.publishInSteps(path, bytes));
  }

  *publishInSteps(path: string, bytes: Uint8Array, beginSync?: BeginSync): Generator<JobWait | void, void, void> {
    let entries: NodeDirectory | undefined
    try {
      this.#place?.check()
      const directory = dirname(path)
      // Opened first, so that missing descriptors show before the file has its name.
      entries = this.#openEntries(directory, beginSync !== undefined)
      const temporary = join(directory, `tmp-${randomBytes(8).toString('hex')}`)
      yield* this.#writeNew(temporary, bytes, beginSync)
      try {
        this.#link(this.#at(temporary), this.#at(path))
      } catch (error) {
        if (!NO_HARD_LINKS.has(errorCode(error))) throw error
        // Still put if absent; a crash in the middle may leave a part, which its checksum reveals.
        yield* this.#writeNew(path, bytes, beginSync)
      } finally {
        unlinkQuietly(this.#at(temporary))
      }
      if (isWithoutSync) rewrite(this.#at(path))
      yield* syncEntries(entries, beginSync)
    } catch (error) {
      throw this.#told(error)
    } finally {
      entries?.close()
    }
  }

  readAll(path: string): Uint8Array {
    return this.#call(() => {
      const fd = openSync(this.#at(path), 'r')
      try {
        const bytes = new Uint8Array(fstatSync(fd).size)
        const length = readFully(fd, bytes, 0, bytes.length, 0)
        return length === bytes.length ? bytes : bytes.slice(0, length)
      } finally {
        closeSync(fd)
      }
    })
  }

  exists(path: string): boolean {
    try {
      return statSync(this.#at(path), { throwIfNoEntry: false }) !== undefined
    } catch (error) {
      // A part of the path is a file. Other errors are no answer.
      if (errorCode(error) === 'ENOTDIR') return false
      throw this.#told(error)
    }
  }

  list(directory: string): string[] {
    return this.#call(() => readdirSync(this.#at(directory)).sort())
  }

  makeDirectory(path: string): void {
    // Each new directory is an entry of its parent, durable once that is synced.
    for (const made of makeWithParents(resolve(path))) this.syncDirectory(dirname(made))
  }

  remove(path: string): void {
    this.#change(() => {
      try {
        unlinkSync(this.#at(path))
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error
      }
    })
  }

  rename(from: string, to: string): void {
    this.#change(() => { renameSync(this.#at(from), this.#at(to)) })
  }

  removeSoon(path: string, failed: (error: Error) => void): void {
    try {
      this.#place?.check()
    } catch (error) {
      failed(error as Error)
      return
    }
    this.#removing++
    unlink(this.#at(path), error => {
      try {
        if (error && error.code !== 'ENOENT') failed(this.#told(error) as Error)
      } finally {
        if (--this.#removing === 0) for (const resolve of this.#waiting.splice(0)) resolve()
      }
    })
  }

  removed(): Promise<void> {
    return this.#removing === 0 ? Promise.resolve() : new Promise(resolve => this.#waiting.push(resolve))
  }

  syncDirectory(path: string): void {
    for (const _ of this.syncDirectoryInSteps(path));
  }

  *syncDirectoryInSteps(path: string, beginSync?: BeginSync): Generator<JobWait | void, void, void> {
    let entries: NodeDirectory | undefined
    try {
      entries = this.#openEntries(path, beginSync !== undefined)
      yield* syncEntries(entries, beginSync)
    } catch (error) {
      throw this.#told(error)
    } finally {
      entries?.close()
    }
  }

  /** Undefined where directories cannot be opened. */
  #openEntries(path: string, hasWitness: boolean): NodeDirectory | undefined {
    try {
      return new NodeDirectory(path, this.#at(path), hasWitness)
    } catch (error) {
      if (!NO_DIRECTORY_SYNC.has(errorCode(error))) throw error
      return undefined
    }
  }

  /** Create a file with these bytes, synced. Throws EEXIST. If it fails or is abandoned, the file is removed. */
  *#writeNew(path: string, bytes: Uint8Array, beginSync: BeginSync | undefined): Generator<JobWait | void, void, void> {
    const file = openTwice(path, this.#at(path), 'wx+')
    let isWhole = false
    try {
      file.writeSync(bytes, 0, bytes.length, 0)
      yield* syncInSteps(file, beginSync)
      isWhole = true
    } finally {
      if (!isWhole) unlinkQuietly(this.#at(path))
      file.close()
    }
  }

  #at(path: string): string {
    return this.#place === undefined ? path : this.#place.at(path)
  }

  #told(error: unknown): unknown {
    return this.#place === undefined ? error : this.#place.told(error)
  }

  #call<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw this.#told(error)
    }
  }

  /** For calls that make or remove a file. */
  #change<T>(call: () => T): T {
    this.#place?.check()
    return this.#call(call)
  }
}

export function removeTree(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 })
}

/** A directory, to make its entries durable. */
class NodeDirectory implements Syncable {
  /** Makes it count as one of the directory's own files. */
  readonly path: string
  readonly #fd: number
  readonly #witnessFd: number | undefined
  #inFlight = 0
  #closed = false

  /** `hasWitness`: it may be synced off the main thread. */
  constructor(path: string, at: string, hasWitness: boolean) {
    this.path = join(path, 'entries')
    this.#fd = openSync(at, 'r')
    try {
      // An error that was not reported before is reported to a descriptor opened now.
      if (hasWitness) this.#witnessFd = openSync(at, 'r')
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  syncSync(): void {
    if (isWithoutSync) return
    fsyncSync(this.#fd)
    if (this.#inFlight > 0 && this.#witnessFd !== undefined) fsyncSync(this.#witnessFd)
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (isWithoutSync) {
        resolve()
        return
      }
      this.#inFlight++
      fsync(this.#fd, error => {
        if (--this.#inFlight === 0 && this.#closed) closeSync(this.#fd)
        if (error && !NO_DIRECTORY_SYNC.has(errorCode(error))) reject(error)
        else resolve()
      })
    })
  }

  close(): void {
    this.#closed = true
    try {
      if (this.#witnessFd !== undefined) closeSync(this.#witnessFd)
    } finally {
      if (this.#inFlight === 0) closeSync(this.#fd)
    }
  }
}

function* syncEntries(directory: NodeDirectory | undefined, beginSync: BeginSync | undefined): Generator<JobWait | void, void, void> {
  try {
    if (directory !== undefined) yield* syncInSteps(directory, beginSync)
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.has(errorCode(error))) throw error
  }
}

/** Renaming over itself makes journalled file systems write the entry with the file. */
function rewrite(path: string): void {
  const rewriting = new Rewriting(path)
  try {
    rewriting.sync()
  } finally {
    rewriting.close()
  }
}

/** Make it durable off this thread if `beginSync` can, else on it. */
function* syncInSteps(file: Syncable, beginSync: BeginSync | undefined): Generator<JobWait | void, void, void> {
  const wait = beginSync?.(file)
  if (wait === undefined) {
    file.syncSync()
    return
  }
  while (!wait.isOver) yield wait
  wait.check()
}

/**
 * The missing directories, deepest first. Not by mkdir's recursion, which reports a read-only file system as ENOENT and loops where
 * ENOENT is the answer although the parent exists.
 */
function makeWithParents(path: string): string[] {
  try {
    mkdirSync(path)
    return [path]
  } catch (error) {
    if (isDirectory(path)) return []
    const parent = dirname(path)
    if (errorCode(error) !== 'ENOENT' || isDirectory(parent)) throw error
    const made = makeWithParents(parent)
    // Another process may make it too.
    return [...makeWithParents(path), ...made]
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false
  }
}

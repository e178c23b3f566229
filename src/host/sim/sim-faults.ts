/** What goes wrong on a simulated disk, and when. Operations are counted from 1 over the disk's whole life. */
import { constants } from 'node:os'
import { fileError } from '../file-error.ts'

const READING: ReadonlySet<string> = new Set(['openRead', 'readAll', 'read', 'list'])
const OPENING: ReadonlySet<string> = new Set(['openRead', 'openWrite', 'create', 'readAll', 'list', 'publish write', 'syncDirectory'])

export class SimFaults {
  /** Operations so far: reads, writes, syncs, truncates, and every call on the directory tree but `exists`. */
  operations = 0
  /** Bytes the disk holds; a write beyond it writes what fits and fails with ENOSPC. */
  capacityBytes = Infinity
  /** It is a quota that sets the capacity. */
  isQuota = false
  /** The process has no file descriptor left: whatever opens a file fails with EMFILE. */
  isOutOfDescriptors = false
  /** What is in this directory is only read: whatever would change it fails with EROFS. */
  readOnlyDirectory: string | undefined
  /** What was refused for that. */
  readonly refusals: string[] = []
  #failAt = Infinity
  #failCode = 'EIO'
  #sticky = false
  readonly #unreadable = new Map<string, string>()

  /**
   * Fail operation number `operation` (see `operations`). A write that fails has written a prefix, a sync that fails has lost
   * what it covered. `sticky`: every operation from then on fails, as when the device is gone; until a crash or `clear`.
   */
  failAt(operation: number, code = 'EIO', sticky = false): void {
    this.#failAt = operation
    this.#failCode = code
    this.#sticky = sticky
  }

  /** Every read of this file fails, until `clear`. */
  failReads(path: string, code = 'EIO'): void {
    this.#unreadable.set(path, code)
  }

  clear(): void {
    this.clearFailAt()
    this.#unreadable.clear()
    this.readOnlyDirectory = undefined
    this.isOutOfDescriptors = this.isQuota = false
    this.capacityBytes = Infinity
  }

  clearFailAt(): void {
    this.#failAt = Infinity
    this.#sticky = false
  }

  /** Count an operation; the error it must fail with, if any. */
  next(syscall: string, path: string): Error | undefined {
    this.operations++
    const refusal = this.refusal(syscall, path)
    if (refusal !== undefined) return refusal
    if (this.isOutOfDescriptors && OPENING.has(syscall)) return fileError('EMFILE', 'open', path)
    const hit = this.isGone || this.operations === this.#failAt
    return hit ? fileError(this.#failCode, syscall, path) : undefined
  }

  /** The error of a call for which the disk has no room. */
  full(syscall: string, path: string): Error {
    return this.isQuota ? quotaError(syscall, path) : fileError('ENOSPC', syscall, path)
  }

  /** The error of a call that would change what is only read. */
  refusal(syscall: string, path: string): Error | undefined {
    const directory = this.readOnlyDirectory
    if (directory === undefined || READING.has(syscall)) return undefined
    if (path !== directory && !path.startsWith(directory === '/' ? '/' : `${directory}/`)) return undefined
    this.refusals.push(`${syscall} ${path}`)
    return fileError('EROFS', syscall, path)
  }

  /** The error of reading this file, if it cannot be read. */
  unreadable(path: string): Error | undefined {
    const code = this.#unreadable.get(path)
    return code === undefined ? undefined : fileError(code, 'read', path)
  }

  /** Whether every operation fails now. */
  get isGone(): boolean { return this.#sticky && this.operations >= this.#failAt }
}

/** What Node makes of a quota that is used up. */
export function quotaError(syscall: string, path: string): NodeJS.ErrnoException {
  const errno = -(constants.errno.EDQUOT ?? 122)
  return Object.assign(fileError('UNKNOWN', syscall, path, `Unknown system error ${errno}`), { errno })
}

/** Faults of a simulated disk. Operations are counted from 1 over the disk's life. */
import { constants } from 'node:os'
import { fileError } from '../file-error.ts'

const READING: ReadonlySet<string> = new Set(['openRead', 'readAll', 'read', 'list'])
const OPENING: ReadonlySet<string> = new Set(['openRead', 'openWrite', 'create', 'readAll', 'list', 'publish write', 'syncDirectory'])

export class SimFaults {
  /** Reads, writes, syncs, truncates, and every call on the directory tree except `exists`. */
  operations = 0
  /** A write beyond it writes the part that fits and fails with ENOSPC. */
  capacityBytes = Infinity
  /** The capacity is a quota. */
  isQuota = false
  /** Opening any file fails with EMFILE. */
  isOutOfDescriptors = false
  /** Changes in this directory fail with EROFS. */
  readOnlyDirectory: string | undefined
  /** Calls refused for that reason. */
  readonly refusals: string[] = []
  #failAt = Infinity
  #failCode = 'EIO'
  #sticky = false
  readonly #unreadable = new Map<string, string>()

  /**
   * Fail one operation. A failing write has written a prefix; a failing sync has lost the data it covered. `sticky`: all later
   * operations fail too, until a crash or `clear`.
   */
  failAt(operation: number, code = 'EIO', sticky = false): void {
    this.#failAt = operation
    this.#failCode = code
    this.#sticky = sticky
  }

  /** Until `clear`. */
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

  /** Count an operation; returns its error, if any. */
  next(syscall: string, path: string): Error | undefined {
    this.operations++
    const refusal = this.refusal(syscall, path)
    if (refusal !== undefined) return refusal
    if (this.isOutOfDescriptors && OPENING.has(syscall)) return fileError('EMFILE', 'open', path)
    const hit = this.isGone || this.operations === this.#failAt
    return hit ? fileError(this.#failCode, syscall, path) : undefined
  }

  /** The error of a full disk or quota. */
  full(syscall: string, path: string): Error {
    return this.isQuota ? quotaError(syscall, path) : fileError('ENOSPC', syscall, path)
  }

  /** The error of a change in the read-only directory. */
  refusal(syscall: string, path: string): Error | undefined {
    const directory = this.readOnlyDirectory
    if (directory === undefined || READING.has(syscall)) return undefined
    if (path !== directory && !path.startsWith(directory === '/' ? '/' : `${directory}/`)) return undefined
    this.refusals.push(`${syscall} ${path}`)
    return fileError('EROFS', syscall, path)
  }

  unreadable(path: string): Error | undefined {
    const code = this.#unreadable.get(path)
    return code === undefined ? undefined : fileError(code, 'read', path)
  }

  get isGone(): boolean { return this.#sticky && this.operations >= this.#failAt }
}

/** Node's error for an exceeded quota. */
export function quotaError(syscall: string, path: string): NodeJS.ErrnoException {
  const errno = -(constants.errno.EDQUOT ?? 122)
  return Object.assign(fileError('UNKNOWN', syscall, path, `Unknown system error ${errno}`), { errno })
}

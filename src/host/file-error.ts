/** Node-style file errors for conditions a host detects itself. */
import { constants } from 'node:os'

const TEXT: Record<string, string> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EDQUOT: 'disk quota exceeded',
  EISDIR: 'illegal operation on a directory',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  EROFS: 'read-only file system',
}

/** An error such as `ENOENT: no such file or directory, open '/a/b'`, with `code`, `syscall` and `path`. */
export function fileError(code: string, syscall: string, path: string, why?: string): NodeJS.ErrnoException {
  why ??= TEXT[code] ?? 'file operation failed'
  const error: NodeJS.ErrnoException = new Error(`${code}: ${why}, ${syscall} '${path}'`)
  error.code = code
  error.syscall = syscall
  error.path = path
  return error
}

/** Errors without a name in the runtime: Node calls an exceeded quota UNKNOWN. */
const NAMES: ReadonlyMap<number, string> = new Map([[-(constants.errno.EDQUOT ?? 122), 'EDQUOT']])

/** '' for other errors. */
export function errorCode(error: unknown): string {
  const { code, errno } = (error ?? {}) as { code?: unknown, errno?: unknown }
  return NAMES.get(errno as number) ?? (typeof code === 'string' ? code : '')
}

const NO_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/**
 * Whether a file could not be opened because descriptors ran out, so that nothing was written or synced. Also for typed errors with
 * such a cause.
 */
export function isOutOfDescriptors(error: unknown): boolean {
  const details = (error as { details?: { code?: unknown } } | undefined)?.details
  return NO_DESCRIPTORS.has(errorCode(error)) || NO_DESCRIPTORS.has(details?.code as string)
}

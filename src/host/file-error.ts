/** Node-style file errors for the cases a host finds out by itself, so that callers look at one `code` everywhere. */

const TEXT: Record<string, string> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
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

/** The `code` of an error thrown by a file operation, '' when it has none. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

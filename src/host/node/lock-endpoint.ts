/**
 * How a lock's holder proves that it lives: it listens on a socket, and the kernel knows.
 *
 * On Unix the socket lies in the directory itself, so every process that reaches the directory on this kernel finds the same one,
 * whatever its path, bind mount, user, container or network namespace. A killed process no longer listens, and its socket refuses
 * connections. On Windows it is a named pipe.
 *
 * Some file systems hold no sockets (FAT), and through a FUSE mount a socket is visible but unreachable: see `Endpoint`.
 */
import { chmodSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { errorCode } from '../file-error.ts'
import { removeQuietly } from './lock-claims.ts'
import type { Endpoint } from './lock-note.ts'

/** Maximum length of a socket's path without the final zero: 103 on macOS, 107 on Linux. */
const MAX_PATH_BYTES = 103

export interface Listener {
  readonly endpoint: Endpoint
  close(): Promise<void>
}

/** Listen in a directory, found at `root`; undefined: not possible there. Does not hold the process open. */
export async function listen(root: string, token: string): Promise<Listener | undefined> {
  const name = process.platform === 'win32' ? `spillway-${token}` : `LOCK-${token}.sock`
  const path = pathOf(root, name)
  if (process.platform !== 'win32' && Buffer.byteLength(path) > MAX_PATH_BYTES) return undefined
  let server: Server
  try {
    server = await serve(path)
  } catch {
    return undefined
  }
  const close = (): Promise<void> => new Promise(resolve => {
    server.close(() => {
      // Not every runtime removes it.
      if (process.platform !== 'win32') removeQuietly(path)
      resolve()
    })
  })
  try {
    if (process.platform === 'win32') return { endpoint: { name, device: '', inode: '' }, close }
    // Another user with write access to the directory must be able to connect.
    chmodSync(path, 0o777)
    const { dev, ino } = statSync(path, { bigint: true })
    return { endpoint: { name, device: String(dev), inode: String(ino) }, close }
  } catch {
    await close()
    return undefined
  }
}

/** Whether the endpoint's process listens; 'unknown': cannot be seen from here. `isOwnMachine`: the pipe would be on this machine. */
export async function probe(root: string, { name, device, inode }: Endpoint, isOwnMachine: boolean): Promise<'running' | 'ended' | 'unknown'> {
  const path = pathOf(root, name)
  if (process.platform === 'win32') {
    if (!isOwnMachine) return 'unknown'
  } else {
    const found = statOf(path)
    if (found === undefined || String(found.dev) !== device || String(found.ino) !== inode) return 'unknown'
  }
  return new Promise(resolve => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve('running')
    })
    socket.once('error', error => {
      socket.destroy()
      const code = errorCode(error)
      const isOver = code === 'ECONNREFUSED' || (code === 'ENOENT' && process.platform === 'win32')
      // EAGAIN: the queue of connections is full, so it listens. Other errors say nothing.
      resolve(isOver ? 'ended' : code === 'EAGAIN' ? 'running' : 'unknown')
    })
  })
}

function statOf(path: string): { dev: bigint, ino: bigint } | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function pathOf(root: string, name: string): string {
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(root, name)
}

function serve(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => { socket.destroy() })
    server.once('error', reject)
    // `exclusive`: in a cluster the primary would otherwise share one socket among its workers.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject)
      // A client that disconnects must not crash the program.
      server.on('error', () => {})
      resolve(server)
    })
    server.unref()
  })
}

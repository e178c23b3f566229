/**
 * The exclusive writer's lock of a directory.
 *
 * Invariants
 * 1. At most one holder among the processes (and threads) that share a kernel and its network namespace.
 * 2. The lock ends with its process, however that ends: the kernel gives up the name. A stale note never locks.
 * 3. A lock never holds the process open.
 *
 * On Linux the lock is an abstract UNIX socket, on Windows a named pipe: both are names in the kernel that only one
 * listener can have and that vanish with it. The name is made from the directory's real path, device and inode: two ways
 * to one directory meet, a new directory that got a removed one's inode does not. Elsewhere, and where no socket may be
 * bound, it is a lock file (`lock-file.ts`). Containers with separate network namespaces, and machines that share a
 * network file system, do not see each other's names: keeping those apart is the manifest's business (fencing).
 */
import { createHash } from 'node:crypto'
import { realpathSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { errorCode } from '../file-error.ts'
import type { HostLock } from '../host.ts'
import { lockedError } from '../locked-error.ts'
import { lockFile } from './lock-file.ts'
import { NOTE_NAME, holderOf, isOwnProcess, mayBeAlive, newNote, readNote } from './lock-note.ts'
import type { LockNote } from './lock-note.ts'

const PREFIX: Partial<Record<NodeJS.Platform, string>> = { linux: '\0spillway-', win32: '\\\\.\\pipe\\spillway-' }

/** Where a lock of this directory lives in the kernel, undefined where the platform has no such names. */
export function kernelName(directory: string): string | undefined {
  const prefix = PREFIX[process.platform]
  if (prefix === undefined) return undefined
  const real = realpathSync(directory)
  const { dev, ino } = statSync(real, { bigint: true })
  // 32 hex digits: names of abstract sockets end at 107 bytes.
  return prefix + createHash('sha256').update(`${real}\0${dev}\0${ino}`).digest('hex').slice(0, 32)
}

export async function lockDirectory(directory: string): Promise<HostLock> {
  const name = kernelName(directory)
  if (name === undefined) return lockFile(directory)
  let server: Server
  try {
    server = await listen(name)
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') return lockFile(directory)
    const note = await holderNote(join(directory, NOTE_NAME))
    throw lockedError(directory, note && holderOf(note), note !== undefined && isOwnProcess(note))
  }
  return new KernelLock(server, join(directory, NOTE_NAME))
}

class KernelLock implements HostLock {
  readonly #server: Server
  readonly #notePath: string
  readonly #note: LockNote = newNote()
  #released: Promise<void> | undefined

  constructor(server: Server, notePath: string) {
    this.#server = server
    this.#notePath = notePath
    try {
      writeFileSync(notePath, JSON.stringify(this.#note) + '\n')
    } catch {
      // The lock holds without a note.
    }
  }

  release(): Promise<void> {
    this.#released ??= new Promise(resolve => {
      // The note first: after the close it may be the next holder's.
      try {
        if (readNote(this.#notePath)?.token === this.#note.token) unlinkSync(this.#notePath)
      } catch {
        // A stale note does no harm.
      }
      this.#server.close(() => { resolve() })
    })
    return this.#released
  }
}

function listen(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => { socket.destroy() })
    server.once('error', reject)
    // `exclusive`: in a cluster the primary process would otherwise share one socket among its workers.
    server.listen({ path: name, exclusive: true }, () => {
      server.off('error', reject)
      // Someone who connects and breaks off must not bring the program down.
      server.on('error', () => {})
      resolve(server)
    })
    server.unref()
  })
}

/** Who holds the lock. The holder writes its note just after it got the lock, so wait a little for one that fits. */
async function holderNote(path: string): Promise<LockNote | undefined> {
  let note = readNote(path)
  for (let i = 0; i < 10 && (note === undefined || !mayBeAlive(note)); i++) {
    await new Promise(resolve => setTimeout(resolve, 20))
    note = readNote(path) ?? note
  }
  return note
}

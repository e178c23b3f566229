/**
 * An open file. Reads and writes are complete. A descriptor is closed only when no asynchronous operation uses it. A file to be
 * written has a second descriptor, which witnesses failed syncs: see `files.ts`.
 */
import { closeSync, fdatasync, fdatasyncSync, fstatSync, ftruncateSync, openSync, read, readSync, unlinkSync, writeSync } from 'node:fs'
import { fileError } from '../file-error.ts'
import type { HostFile } from '../host.ts'
import { syncsAreRefused } from './permission.ts'
import { Rewriting } from './rewriting.ts'

/** Maximum bytes of one system call; some platforms refuse 2 GiB and more. */
const MAX_CALL_BYTES = 1024 ** 3

/** Files cannot be synced, and are rewritten instead: see `permission.ts`. */
const isWithoutSync = syncsAreRefused()

export class NodeFile implements HostFile {
  readonly path: string
  #fd: number
  /** Opened together with it, before anything is written. */
  readonly #witnessFd: number | undefined
  /** Set where the file cannot be synced. */
  readonly #rewriting: Rewriting | undefined
  #inFlight = 0
  #closed = false

  /** `at`: its present path for system calls. */
  constructor(path: string, fd: number, witnessFd?: number, at = path) {
    this.path = path
    this.#fd = fd
    this.#witnessFd = witnessFd
    if (isWithoutSync && witnessFd !== undefined) this.#rewriting = new Rewriting(at)
  }

  size(): number {
    this.#check('fstat')
    return fstatSync(this.#fd).size
  }

  readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#check('read')
    return readFully(this.#fd, target, offset, length, position)
  }

  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#check('read')
      let done = 0
      this.#inFlight++
      const more = (): void => {
        read(this.#fd, target, offset + done, Math.min(length - done, MAX_CALL_BYTES), position + done, (error, count) => {
          if (error) {
            this.#landed()
            reject(error)
            return
          }
          done += count
          if (count > 0 && done < length) {
            more()
          } else {
            this.#landed()
            resolve(done)
          }
        })
      }
      try {
        more()
      } catch (error) {
        this.#landed()
        throw error
      }
    })
  }

  writeSync(source: Uint8Array, offset: number, length: number, position: number): void {
    this.#check('write')
    this.#rewriting?.wrote(position, length)
    writeFully(this.#fd, this.path, source, offset, length, position)
  }

  syncSync(): void {
    this.#check('fdatasync')
    if (this.#rewriting !== undefined) {
      this.#rewriting.sync()
      return
    }
    fdatasyncSync(this.#fd)
    if (this.#inFlight > 0 && this.#witnessFd !== undefined) fdatasyncSync(this.#witnessFd)
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#check('fdatasync')
      if (this.#rewriting !== undefined) {
        this.#rewriting.sync()
        resolve()
        return
      }
      this.#inFlight++
      fdatasync(this.#fd, error => {
        this.#landed()
        if (error) reject(error)
        else resolve()
      })
    })
  }

  truncate(length: number): void {
    this.#check('ftruncate')
    ftruncateSync(this.#fd, length)
    this.#rewriting?.truncated(length)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#rewriting?.close()
      if (this.#witnessFd !== undefined) closeSync(this.#witnessFd)
    } finally {
      if (this.#inFlight === 0) closeSync(this.#fd)
    }
  }

  #landed(): void {
    this.#inFlight--
    if (this.#closed && this.#inFlight === 0) closeSync(this.#fd)
  }

  #check(syscall: string): void {
    if (this.#closed) throw fileError('EBADF', syscall, this.path, 'the file was closed')
  }
}

/** Open for writing: 'wx+' creates it, EEXIST if it exists. `at`: where `path` is found. */
export function openTwice(path: string, at: string, flags: 'r+' | 'wx+'): NodeFile {
  const fd = openSync(at, flags)
  try {
    return new NodeFile(path, fd, openSync(at, 'r+'), at)
  } catch (error) {
    closeSync(fd)
    if (flags === 'wx+') unlinkQuietly(at)
    throw error
  }
}

export function readFully(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
  let done = 0
  while (done < length) {
    const count = readSync(fd, target, offset + done, Math.min(length - done, MAX_CALL_BYTES), position + done)
    if (count === 0) break
    done += count
  }
  return done
}

function writeFully(fd: number, path: string, source: Uint8Array, offset: number, length: number, position: number): void {
  let done = 0
  while (done < length) {
    const count = writeSync(fd, source, offset + done, Math.min(length - done, MAX_CALL_BYTES), position + done)
    if (count === 0) throw fileError('EIO', 'write', path, `only ${done} of ${length} bytes were written`)
    done += count
  }
}

export function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // A leftover with an unused name; removed at the next open.
  }
}

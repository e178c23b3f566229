/**
 * The outside world behind one interface: files, clock, randomness, scheduling, workers, the lock. Only this room may import
 * `node:fs`, `node:worker_threads`, timers and the like.
 *
 * Two implementations: `node/` (the real one) and `sim/` (in memory, deterministic; loses unsynced data when told to crash).
 *
 * Errors: file operations throw Node-style errors with a `code` ('ENOENT', 'EEXIST', 'ENOSPC', 'EIO').
 */

import type { PressureReading } from './pressure.ts'

export interface Syncable {
  readonly path: string
  /** Make the file's content durable (fdatasync), blocking. */
  syncSync(): void
  /** `syncSync` without blocking the event loop. */
  sync(): Promise<void>
}

export interface HostFile extends Syncable {
  /** Current length in bytes. */
  size(): number
  /** Read up to `length` bytes at `position` into `target` at `offset`; returns their number (short only at the end of the file). */
  readSync(target: Uint8Array, offset: number, length: number, position: number): number
  /** `readSync` without blocking the event loop. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Write all of `source[offset, offset + length)` at `position`. */
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void
  truncate(length: number): void
  close(): void
}

export interface HostFiles {
  /** Open an existing file for reading. */
  openRead(path: string): HostFile
  /** Open an existing file for reading and writing. `syncSync` also throws errors of which another sync of this object was informed. */
  openWrite(path: string): HostFile
  /** Create a file for reading and writing. Throws EEXIST. */
  create(path: string): HostFile
  /**
   * Create `path` with exactly these bytes, durable and all or nothing (put if absent). Throws EEXIST. On return the file and its
   * directory entry survive a power loss.
   */
  publish(path: string, bytes: Uint8Array): void
  /**
   * `publish` in the steps of a job, whose syncs use `beginSync` if it is given. Abandoned between two steps it leaves the whole
   * file or none.
   */
  publishInSteps(path: string, bytes: Uint8Array, beginSync?: BeginSync): Generator<JobWait | void, void, void>
  readAll(path: string): Uint8Array
  exists(path: string): boolean
  /** Names in a directory, sorted. */
  list(directory: string): string[]
  /** Create a directory and its parents, unless they exist. */
  makeDirectory(path: string): void
  /** Remove a file, unless it is gone. */
  remove(path: string): void
  /** Rename a file within its directory, replacing the target atomically. Durable once the directory is synced. */
  rename(from: string, to: string): void
  /**
   * `remove` soon, since freeing the blocks of a large file takes a while. The name must not be reused. If the file cannot be
   * removed, `failed` is called once, in this call or later.
   */
  removeSoon(path: string, failed: (error: Error) => void): void
  /** Resolves when every `removeSoon` is done or has failed. */
  removed(): Promise<void>
  /** Make the directory's entries durable. */
  syncDirectory(path: string): void
  /** `syncDirectory` in the steps of a job, as `publishInSteps`. */
  syncDirectoryInSteps(path: string, beginSync?: BeginSync): Generator<JobWait | void, void, void>
  /**
   * These files, but paths below `directory` mean the directory that was opened, whatever is at its path now. Making or removing a
   * file there throws FENCED when the directory is gone. Undefined: these files.
   */
  within(directory: DirectoryReference | undefined): HostFiles
}

/** An open directory, for other threads of this process: structured-cloneable. */
export interface DirectoryReference {
  /** Its path when it was opened; paths of its files begin with it. */
  readonly path: string
  readonly device: string
  readonly inode: string
  /** A path that finds it whatever its name is; '' on hosts without one. */
  readonly root: string
  /** Open file descriptor; -1 where directories have none. */
  readonly descriptor: number
}

/** An open directory. Renaming it is harmless; its removal is detected. */
export interface HostDirectory {
  readonly path: string
  /** Its files: `HostFiles.within`. */
  readonly files: HostFiles
  readonly reference: DirectoryReference
  /** Identifies this mount of its file system and this boot of the machine: when it changed, unsynced writes may be lost. '' = unknown. */
  mountId(): string
  /**
   * Take the exclusive writer's lock, held until release or until this process dies.
   * Throws SpillwayError LOCKED that names the holder.
   */
  lock(): Promise<HostLock>
  /** Throws LOCKED as `lock` would, as far as the holder can be seen. Takes and changes nothing and waits briefly; for readers. */
  checkUnlocked(): Promise<void>
  close(): void
}

export interface HostClock {
  /** Monotonic milliseconds, with fractions. */
  nowMs(): number
  /** Wall-clock milliseconds since 1970, only for notes to people. */
  wallMs(): number
}

export interface Disposer {
  (): void
}

export interface HostScheduler {
  /** Run once, after the current turn of the event loop. */
  soon(task: () => void): void
  /** Run once at the end of the current synchronous stretch (a microtask). */
  microtask(task: () => void): void
  /** Run once after `delayMs`; the returned function cancels it. With `unref` it does not hold the process open. */
  later(delayMs: number, task: () => void, unref?: boolean): Disposer
  sleepSync(delayMs: number): void
}

/**
 * A job is a generator: at each `yield` a more urgent job may run, or the user's event loop when jobs run on the main thread. It
 * uses only `host`, synchronously, and returns a plain, cloneable result. A job that yields a wait makes no step until the wait is
 * over.
 */
export type Job<Args = never, Result = unknown> = (context: JobContext, args: Args) => Generator<JobWait | void, Result, void>

/** An operation that goes on off this thread. */
export interface JobWait {
  readonly isOver: boolean
  /** Called once, from the event loop, when it ends by itself. */
  onOver: () => void
  /** End it now, blocking the thread. */
  end(): void
  /** When it is over: throws if it failed. */
  check(): void
}

/** Undefined: not now, call `syncSync`. */
export type BeginSync = (file: Syncable) => JobWait | undefined

export interface JobContext {
  files: HostFiles
  clock: HostClock
  /** Make a file durable off this thread. Absent, or undefined: call `syncSync`. */
  beginSync?: BeginSync
  /** An error of such a sync that came after its job had gone on: writes to that directory may not be durable. Returned once. */
  lateSyncError?: (directory: string) => Error | undefined
}

/** A module that a worker can load, with jobs by name. */
export interface JobModule {
  // Caller and job agree on the arguments.
  jobs: Record<string, Job<any, unknown>>
}

export interface JobRequest {
  name: string
  /** Structured-cloneable; SharedArrayBuffers are shared, not copied. */
  args: unknown
  /** Lower runs first; a more urgent job interrupts a less urgent one at its next yield. */
  priority: number
}

export interface JobRunner {
  readonly mode: 'worker' | 'inline'
  /**
   * Start a job. `done` is called once on the caller's thread, from the event loop or `pump`, never inside `submit`. A
   * SpillwayError of the worker arrives as one.
   */
  submit(request: JobRequest, done: (error: Error | undefined, result: unknown) => void): void
  /**
   * Deliver finished jobs without the event loop. With `block`, wait for at least one (parking the thread, or running jobs here).
   * False: there was none to wait for.
   */
  pump(block: boolean): boolean
  /** Inline: make up to `steps` steps of jobs now, for callers that never yield to the event loop. No effect with a worker. */
  help(steps: number): void
  /** A job will come soon: start its thread. Errors show when the job is submitted. */
  prepare?(): void
  /** Jobs submitted and not yet delivered. */
  readonly pending: number
  /** Make the thread free shared memory its jobs no longer use, when it is idle or between two steps. */
  collectGarbage(): void
  /** Stop at once; unfinished jobs fail with SPILLWAY_ABORTED. */
  close(): Promise<void>
}

export interface RunnerOptions {
  /** The worker, which serves `module`'s jobs: its self-contained code, or its file. */
  worker: (() => string) | URL
  /** For running inline. */
  module: JobModule
  /** 'auto' = a worker, unless the host has none. */
  mode: 'worker' | 'inline'
  /** Upper bound of the worker's V8 heap. */
  heapBytes: number
}

export interface HostLock {
  /** The former holder may be alive and may write until it notices its loss. */
  readonly isTakeover: boolean
  /** Cheap. Throws FENCED, from then on always, when another process has taken over or the directory was removed. */
  check(): void
  release(): Promise<void>
}

export interface LockHolder {
  pid: number
  host: string
  since: string
}

/** The process (in a worker: the thread) of this host. */
export interface HostProcess {
  /** Unique among all processes on all machines: letters, digits and dashes. */
  readonly name: string
  /** Whether the process of that name may still run; false only when it has certainly ended. */
  isRunning(name: string): boolean
  /** Call a synchronous task when it ends by itself, not when a signal kills it. Returns the removal. */
  onExit(task: () => void): Disposer
}

/** Watches objects the program may drop, without keeping them. */
export interface LossRegistry {
  /** Once `object` was collected, the registry's callback gets `held`, from the event loop. */
  register(object: object, held: object, token: object): void
  unregister(token: object): void
}

/** Why something is unavailable and what helps, in words that continue "because"; undefined: it is available. */
export interface HostShortcomings {
  /** Threads that run jobs. */
  worker: string | undefined
  /** Durability 'disk'. */
  disk?: string | undefined
  /** Stores at all. */
  store?: string | undefined
}

export interface Host {
  readonly files: HostFiles
  readonly clock: HostClock
  readonly scheduler: HostScheduler
  readonly process: HostProcess
  /** POSIX joining works on every platform of Node. */
  join(directory: string, name: string): string
  /** Absolute, so that a later change of the working directory has no effect. */
  resolve(path: string): string
  /** Remove a directory with its content, unless it is gone. */
  removeTree(directory: string): void
  /** Ask the garbage collector to free dropped shared memory; a host may ignore it. */
  collectGarbage(): void
  /**
   * Buffers of `bufferBytes` were handed to the program, with at least `objectBytes` of other objects. A host may collect them
   * before the garbage collector would.
   */
  handedOut(bufferBytes: number, objectBytes: number): void
  /** Values of several callers share this memory: transferring it to another thread must fail. */
  forbidTransfer(buffer: ArrayBuffer): void
  /** Absent where nothing may depend on when the garbage collector runs. */
  lossRegistry?(lost: (held: object) => void): LossRegistry
  /** Warn once per `key`; default: per code. */
  warnOnce(code: string, message: string, key?: string): void
  /** SPILLWAY_DEBUG is set: what costs time but helps to find mistakes is on. Absent: it is not. */
  readonly isDebug?: boolean
  /** Memory pressure of the machine and of this process's group. Cheap. */
  pressure(): PressureReading
  /** From 0 up to 1, evenly distributed. */
  random(): number
  /** Bytes this process may use: the cgroup limit or the machine's memory. */
  memoryLimitBytes(): number
  /** Open an existing directory. */
  openDirectory(path: string): HostDirectory
  runner(options: RunnerOptions): JobRunner
  /** Absent: nothing is missing. */
  shortcomings?(): HostShortcomings
}

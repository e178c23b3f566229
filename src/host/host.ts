/**
 * The outside world behind one small seam: files, clock, randomness, scheduling, workers, the lock.
 * Only this room may import `node:fs`, `node:worker_threads`, timers and the like.
 *
 * Two implementations: `node/` (the real one) and `sim/` (in memory, deterministic, loses what
 * was not synced when told to crash).
 *
 * Errors: file operations throw Node-style errors with a `code` ('ENOENT', 'EEXIST', 'ENOSPC', 'EIO').
 */

import type { PressureReading } from './pressure.ts'

/** Something that can be made durable. */
export interface Syncable {
  readonly path: string
  /** Make the file's content durable (fdatasync), blocking. */
  syncSync(): void
  /** The same, not blocking the event loop. */
  sync(): Promise<void>
}

export interface HostFile extends Syncable {
  /** Current length in bytes. */
  size(): number
  /** Read up to `length` bytes at `position` into `target` at `offset`; returns how many were read (short only at the end of the file). */
  readSync(target: Uint8Array, offset: number, length: number, position: number): number
  /** The same, not blocking the event loop. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Write all of `source[offset, offset + length)` at `position`. */
  writeSync(source: Uint8Array, offset: number, length: number, position: number): void
  truncate(length: number): void
  close(): void
}

export interface HostFiles {
  /** Open an existing file for reading. */
  openRead(path: string): HostFile
  /** Open an existing file for reading and writing. `syncSync` hears of what another sync of this object was told meanwhile. */
  openWrite(path: string): HostFile
  /** Create a file for reading and writing; EEXIST if it is there. */
  create(path: string): HostFile
  /**
   * Create `path` with exactly these bytes, durably and all or nothing: EEXIST if it is there (put-if-absent).
   * When it returns, the file and its directory entry survive a power loss.
   */
  publish(path: string, bytes: Uint8Array): void
  /** The same in the steps of a job. What is to be made durable is, beside the thread, by `beginSync` where there is one. Put down between two steps it leaves the file whole or not at all. */
  publishInSteps(path: string, bytes: Uint8Array, beginSync?: BeginSync): Generator<JobWait | void, void, void>
  readAll(path: string): Uint8Array
  exists(path: string): boolean
  /** Names in a directory, sorted. */
  list(directory: string): string[]
  /** Create a directory and its parents; fine if it is there. */
  makeDirectory(path: string): void
  /** Remove a file; fine if it is not there. */
  remove(path: string): void
  /** Give a file another name in its directory, in the place of the file that has it, at once. Durable once the directory is synced. */
  rename(from: string, to: string): void
  /**
   * The same, soon: giving back the blocks of a large file takes a while. Its name must not be used again. What cannot be removed
   * stays, and `failed` is called with the reason, once, in this call or later.
   */
  removeSoon(path: string, failed: (error: Error) => void): void
  /** Resolves when all that was to be removed soon is, or has failed. */
  removed(): Promise<void>
  /** Make the directory's entries durable. */
  syncDirectory(path: string): void
  /** The same in the steps of a job, as `publishInSteps`. */
  syncDirectoryInSteps(path: string, beginSync?: BeginSync): Generator<JobWait | void, void, void>
  /**
   * These files, but that paths in `directory` mean the one that was opened (`Host.openDirectory`), whatever stands at its path now.
   * What would make or remove a file there when it is gone, and cannot be reached, throws FENCED. Undefined: these files.
   */
  within(directory: DirectoryReference | undefined): HostFiles
}

/** Names an open directory for the other threads of this process: structured-cloneable. */
export interface DirectoryReference {
  /** As it was opened; its files have paths below it. */
  readonly path: string
  /** What the host knows it by. */
  readonly device: string
  readonly inode: string
  /** Where it is found whatever its path is; '' where the host has no such thing. */
  readonly root: string
  /** Open file descriptor, -1 where directories have none. */
  readonly descriptor: number
}

/** A directory that stays what it was when it was opened. Renaming it does no harm; removing it shows. */
export interface HostDirectory {
  readonly path: string
  /** `HostFiles.within` this directory. */
  readonly files: HostFiles
  readonly reference: DirectoryReference
  /** Identifies this mount of its file system and this boot of the machine: when it changed, unsynced writes may be lost. '' = unknown. */
  mountId(): string
  /**
   * Take the exclusive writer's lock, held until release or until this process dies.
   * Throws SpillwayError LOCKED that names the holder.
   */
  lock(): Promise<HostLock>
  /** Throws LOCKED as `lock` would where somebody is seen to hold it; takes nothing, changes nothing, and waits for nobody for long. For who only reads. */
  checkUnlocked(): Promise<void>
  /** Its files are used no more. */
  close(): void
}

export interface HostClock {
  /** Monotonic milliseconds, with fractions. */
  nowMs(): number
  /** Wall-clock milliseconds since 1970, for notes to people only. */
  wallMs(): number
}

export interface Disposer {
  (): void
}

export interface HostScheduler {
  /** Run once, soon, after the current turn of the event loop. */
  soon(task: () => void): void
  /** Run once at the end of the current synchronous stretch (a microtask). */
  microtask(task: () => void): void
  /** Run once after `delayMs`; the returned function cancels it. Does not hold the process open when `unref` is given. */
  later(delayMs: number, task: () => void, unref?: boolean): Disposer
  /** Block the calling thread for `delayMs`. */
  sleepSync(delayMs: number): void
}

/**
 * A job is a generator: each `yield` is a place where it may be put aside for a more urgent one,
 * or for the user's event loop when it runs on the main thread. It touches the world through `host` alone,
 * synchronously, and returns a plain, cloneable result. One that yields a wait makes no step until that is over.
 */
export type Job<Args = never, Result = unknown> = (context: JobContext, args: Args) => Generator<JobWait | void, Result, void>

/** Something that goes on beside the thread. */
export interface JobWait {
  readonly isOver: boolean
  /** Called once, from the event loop, if it ends by itself. */
  onOver: () => void
  /** End it now, blocking the thread. */
  end(): void
  /** After it is over: throws if it failed. */
  check(): void
}

/** Undefined: not now, call `syncSync`. */
export type BeginSync = (file: Syncable) => JobWait | undefined

export interface JobContext {
  files: HostFiles
  clock: HostClock
  /** Make a file durable beside the thread, where jobs run on a thread that has better things to do. Absent, or undefined: call `syncSync`. */
  beginSync?: BeginSync
  /** An error of such a sync that came when its job had gone on without it: what it wrote to that directory may not be durable. Told once. */
  lateSyncError?: (directory: string) => Error | undefined
}

/** A module that a worker can load: `jobs` by name. */
export interface JobModule {
  // Job arguments differ by name; the caller and the job agree on them.
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
  /** 'worker' or 'inline'. */
  readonly mode: 'worker' | 'inline'
  /**
   * Start a job. `done` is called once on the caller's thread, from the event loop or from `pump`, never from inside `submit`.
   * An error that is a SpillwayError in the worker is one here.
   */
  submit(request: JobRequest, done: (error: Error | undefined, result: unknown) => void): void
  /**
   * Deliver finished jobs without the event loop. With `block`, first wait (parking the thread, or running the jobs here)
   * until at least one has finished; returns false if there was nothing to wait for.
   */
  pump(block: boolean): boolean
  /** Inline: make up to so many steps of jobs now, so that they keep pace with a caller that gives the event loop no turn. A worker needs no help. */
  help(steps: number): void
  /** A job will come soon: start what it will run on. Optional; an error shows when the job is submitted. */
  prepare?(): void
  /** Jobs submitted and not yet delivered. */
  readonly pending: number
  /** Have the thread let go of shared memory that its jobs are done with; it comes back when it is idle or between two steps. */
  collectGarbage(): void
  /** Stop at once; unfinished jobs are delivered an error with code SPILLWAY_ABORTED. */
  close(): Promise<void>
}

export interface RunnerOptions {
  /** What the worker runs, and serves `module`'s jobs: its code, which needs nothing else of this package, or the file of it. */
  worker: (() => string) | URL
  /** The module itself, for running inline. */
  module: JobModule
  /** 'auto' = a worker, unless the host has none. */
  mode: 'worker' | 'inline'
  /** Upper bound of the worker's V8 heap. */
  heapBytes: number
}

export interface HostLock {
  /** Nobody has seen the holder before alive, and nobody knows that it ended: it may still write, until it hears of its loss. */
  readonly isTakeover: boolean
  /** Cheap. Throws FENCED, from then on always, when somebody has taken over, or the directory was removed. */
  check(): void
  release(): Promise<void>
}

export interface LockHolder {
  pid: number
  host: string
  since: string
}

/** The process (in a worker: the thread) that this host is in. */
export interface HostProcess {
  /** Tells it from any other, running or not, on this machine or another: letters, digits and dashes. */
  readonly name: string
  /** Whether one with that name may still run. True when that cannot be known; false only when it has surely ended. */
  isRunning(name: string): boolean
  /** Call a synchronous task when it ends by itself. A signal that kills it ends it without. The returned function takes the task back. */
  onExit(task: () => void): Disposer
}

/** Objects that the program may lose. None of them is kept. */
export interface LossRegistry {
  /** Once `object` was collected, what the registry was made with is called with `held`, from the event loop. */
  register(object: object, held: object, token: object): void
  unregister(token: object): void
}

/** Why something cannot be had, and what helps, in words that go on after "because": undefined, it can. */
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
  /** 'posix' path joining is enough on every platform Node runs on. */
  join(directory: string, name: string): string
  /** The absolute path: what is open stays where it is, whatever directory the program goes to. */
  resolve(path: string): string
  /** Remove a directory and all that is in it; fine if it is not there. */
  removeTree(directory: string): void
  /** Ask the garbage collector to find shared memory that was dropped; a host may ignore it. */
  collectGarbage(): void
  /**
   * The program was handed buffers of so many bytes, which will be garbage sooner or later, and with them at least `objectBytes` of other
   * objects. A host may collect what waits of them before the garbage collector would; it may ignore this.
   */
  handedOut(bufferBytes: number, objectBytes: number): void
  /** Values of several callers share this memory: transferring it to another thread shall fail, not take it from all of them. */
  forbidTransfer(buffer: ArrayBuffer): void
  /** A registry that calls `lost` for what was collected. Absent where that is not to depend on when the garbage collector runs. */
  lossRegistry?(lost: (held: object) => void): LossRegistry
  /** Warn the person who runs the process, once for each code. */
  warnOnce(code: string, message: string): void
  /** How near the machine, or the group this process is in, is to having no memory left. Cheap to ask. */
  pressure(): PressureReading
  /** A number from 0 up to 1, evenly spread. */
  random(): number
  /** What this process may use: the cgroup limit or the machine's memory, in bytes. */
  memoryLimitBytes(): number
  /** Open a directory that is there. */
  openDirectory(path: string): HostDirectory
  runner(options: RunnerOptions): JobRunner
  /** What cannot be had on this host. Absent: nothing is missing. */
  shortcomings?(): HostShortcomings
}

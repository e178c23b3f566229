/**
 * A deterministic host in memory: same seed and calls, same run, byte for byte (`disk.log`).
 *
 * Invariants
 * 1. It reads no real clock, file or randomness. Tasks run on the real event loop in a fixed order, so awaited code works; do not
 *    await real timers or files in between.
 * 2. After `crash` this host is dead: its files fail with EIO, its locks are free. Continue with the host that `crash` returns.
 */
import { posix } from 'node:path'
import { markAsUntransferable } from 'node:worker_threads'
import type { DirectoryReference, Disposer, Host, HostDirectory, HostLock, HostProcess, JobRunner, LockHolder, RunnerOptions } from '../host.ts'
import { InlineRunner } from '../inline-runner.ts'
import type { Slice } from '../inline-runner.ts'
import { directoryLost, lockLost } from '../fenced-error.ts'
import { lockedError } from '../locked-error.ts'
import { Random } from './random.ts'
import { SimDisk } from './sim-disk.ts'
import type { CrashOptions, SimClaim } from './sim-disk.ts'
import type { PressureReading } from '../pressure.ts'
import { SimPressure } from './sim-pressure.ts'
import { SimFiles } from './sim-files.ts'
import { SimTime } from './sim-time.ts'

/** Maximum steps of one slice of a job. */
const MAX_STEPS = 8

export interface SimOptions {
  /** Decides everything random. Default 1. */
  seed?: number
  /** A disk to share, as another process on the same machine. Default: a new one. */
  disk?: SimDisk
  /** Default 1 GiB. */
  memoryLimitBytes?: number
}

export class SimHost implements Host {
  readonly disk: SimDisk
  readonly files: SimFiles
  readonly clock: SimTime
  readonly scheduler: SimTime
  readonly pid: number
  readonly process: HostProcess
  /** Pressure to report. */
  readonly memory = new SimPressure()
  readonly #random: Random
  /** An independent generator, so that use of `random` does not shift other choices. */
  readonly #dice: Random
  readonly #memoryLimitBytes: number
  readonly #epoch: number
  readonly #mountId: string
  readonly #exitTasks = new Set<() => void>()

  constructor(options: SimOptions = {}) {
    this.#random = new Random(options.seed ?? 1)
    this.#dice = new Random((options.seed ?? 1) ^ 0x5eed)
    this.disk = options.disk ?? new SimDisk()
    this.clock = this.scheduler = new SimTime()
    this.files = new SimFiles(this.disk, this.clock, this.#random.fork())
    this.pid = this.disk.nextPid++
    this.disk.running.add(this.pid)
    this.process = {
      name: `sim-${this.pid}-0`,
      isRunning: name => this.disk.running.has(Number(name.split('-')[1])),
      onExit: (task): Disposer => {
        this.#exitTasks.add(task)
        return () => { this.#exitTasks.delete(task) }
      },
    }
    this.#memoryLimitBytes = options.memoryLimitBytes ?? 2 ** 30
    this.#epoch = this.disk.epoch
    const { boots, mounts } = this.disk
    this.#mountId = mounts === 0 ? `boot-${boots}` : `boot-${boots} mount-${mounts}`
  }

  join(directory: string, name: string): string {
    return posix.join(directory, name)
  }

  resolve(path: string): string {
    return posix.resolve('/', path)
  }

  removeTree(directory: string): void {
    this.disk.removeTree(this.files.begin('removeTree', directory))
  }

  /** Shared by all its directories: see `HostDirectory.mountId`. */
  mountId(): string {
    return this.#mountId
  }

  pressure(): PressureReading { return this.memory.read() }

  collectGarbage(): void {}

  handedOut(_bufferBytes: number, _objectBytes: number): void {}

  forbidTransfer(buffer: ArrayBuffer): void { markAsUntransferable(buffer) }

  /** Tests may replace it. */
  warnOnce(_code: string, _message: string, _key?: string): void {}

  random(): number { return this.#dice.next32() / 2 ** 32 }

  memoryLimitBytes(): number {
    return this.#memoryLimitBytes
  }

  openDirectory(path: string): HostDirectory {
    const normal = SimDisk.normalize(path)
    this.files.check('open', normal)
    const { id, root } = this.disk.openDirectory(normal)
    const reference: DirectoryReference = { path: normal, device: 'sim', inode: String(id), root, descriptor: id }
    return {
      path: normal, reference, files: this.files.within(reference), mountId: () => this.#mountId,
      lock: async () => this.#lock(reference),
      checkUnlocked: async () => this.#checkUnlocked(reference),
      close: () => {},
    }
  }

  #checkUnlocked({ path, descriptor }: DirectoryReference): void {
    this.files.check('lock', path)
    const held = this.disk.locks.get(descriptor)
    if (held !== undefined && !this.disk.holdersAreUnseen) throw lockedError(path, held.holder, held.holder.pid === this.pid)
  }

  #lock({ path, descriptor }: DirectoryReference): HostLock {
    this.files.check('lock', path)
    const { disk } = this
    const refusal = disk.faults.refusal('lock', path)
    if (refusal !== undefined) throw refusal
    const before = disk.locks.get(descriptor)
    if (before !== undefined && !disk.holdersAreUnseen) throw lockedError(path, before.holder, before.holder.pid === this.pid)
    const holder: LockHolder = { pid: this.pid, host: 'sim', since: new Date(this.clock.wallMs()).toISOString() }
    const own: SimClaim = { holder }
    disk.locks.set(descriptor, own)
    let isReleased = false
    return {
      isTakeover: before !== undefined,
      check: () => {
        if (isReleased) return
        this.files.check('lock', path)
        if (disk.isRemoved(descriptor)) throw directoryLost(path, 'was removed')
        const now = disk.locks.get(descriptor)
        if (now !== own) throw lockLost(path, now?.holder)
      },
      async release() {
        isReleased = true
        // After a crash it may belong to another host.
        if (disk.locks.get(descriptor) === own) disk.locks.delete(descriptor)
      },
    }
  }

  /** Always inline; arguments and results are cloned, as by a worker. */
  runner(options: RunnerOptions): JobRunner {
    return new InlineRunner({
      module: options.module,
      context: { files: this.files, clock: this.clock },
      slice: new StepSlice(this.#random.fork()),
      soon: task => { this.scheduler.soon(task) },
      clone: true,
    })
  }

  /** Let virtual time pass; due timers run before this returns. */
  advance(byMs: number): void {
    this.clock.advance(byMs)
  }

  /** Resolves when no task, job, asynchronous operation or holding timer is left. */
  idle(): Promise<void> {
    return this.clock.idle()
  }

  /** The process ends by itself. */
  exit(): void {
    for (const task of this.#exitTasks) task()
    this.#exitTasks.clear()
    this.disk.running.delete(this.pid)
  }

  /** Power loss (`lossless`: the process dies). Unsynced data is kept, lost or torn by the seed. Returns the host of the next process. */
  crash(options: CrashOptions = {}): SimHost {
    if (this.#epoch !== this.disk.epoch) throw new Error('this host has already crashed; use the one its crash returned')
    this.disk.crash(this.#random.fork(), options)
    return new SimHost({ seed: this.#random.next32(), disk: this.disk, memoryLimitBytes: this.#memoryLimitBytes })
  }
}

class StepSlice implements Slice {
  readonly #random: Random
  #left = 0

  constructor(random: Random) {
    this.#random = random
  }

  begin(): void {
    this.#left = this.#random.between(1, MAX_STEPS)
  }

  more(): boolean {
    return --this.#left > 0
  }
}

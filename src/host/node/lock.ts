/**
 * The exclusive writer's lock of a directory.
 *
 * Invariants
 * 1. At most one holder among all processes and threads of this kernel, whatever their path, mount, namespace, runtime or clock.
 * 2. It ends with its process.
 * 3. A holder that lost it gets an error at its next `check`: its claim is removed before its successor reads anything. This holds
 *    across kernels too, where a holder's life cannot be seen.
 * 4. It does not hold the process open.
 *
 * To acquire it:
 *   1. Begin to listen (`lock-endpoint.ts`).
 *   2. Judge all claims. A live holder: LOCKED. A claim that cannot be judged is watched, if it promises a heartbeat.
 *   3. Make a claim with a number above all others (`lock-claims.ts`).
 *   4. Judge again. Another live claim, made meanwhile: give up and start over a little later.
 *   5. Remove the claims of dead holders.
 *
 * Two processes at once both make their claim before they judge again, so at least one sees the other.
 *
 * Cost: some 20 system calls to acquire, one to check.
 */
import { closeSync, existsSync, fstatSync, futimesSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SpillwayError } from '../../base/errors.ts'
import type { DirectoryReference, HostLock } from '../host.ts'
import { directoryLost, lockLost } from '../fenced-error.ts'
import { lockedError } from '../locked-error.ts'
import { claimName, claimsIn, makeClaim, removeQuietly, socketsIn } from './lock-claims.ts'
import { listen, probe } from './lock-endpoint.ts'
import type { Listener } from './lock-endpoint.ts'
import { holderOf, isOwn, newNote, readNote, signOfLife, stateOf } from './lock-note.ts'
import type { LockNote } from './lock-note.ts'
import { oldHolder } from './lock-of-version-0.ts'
import { isRemoved } from './place.ts'
import { mayBeRemote } from './remote-file-systems.ts'

/** Interval of heartbeats, where the kernel cannot prove the holder's life to every other kernel. */
const BEAT_MS = 1000
/** Maximum silence of a live holder. */
const PATIENCE_MS = 10_000
const LOOK_MS = 200
/** A socket this old without a claim is a leftover. */
const STRAY_MS = 60_000
const MAX_ATTEMPTS = 25

export interface LockOptions {
  /** For tests: replaces PATIENCE_MS. */
  patienceMs?: number
}

type Verdict = 'gone' | 'ended' | 'presumed ended'

export async function lockDirectory(directory: DirectoryReference, { patienceMs = PATIENCE_MS }: LockOptions = {}): Promise<HostLock> {
  const root = directory.root === '' ? directory.path : directory.root
  const isRemote = mayBeRemote(root)
  const token = crypto.randomUUID().replaceAll('-', '').slice(0, 16)
  const claimant = new Claimant(directory, root, isRemote, patienceMs)
  // Before anything is made: most refusals happen here.
  await claimant.judgeAll()
  const listener = await listen(root, token)
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const note = newNote(token, listener?.endpoint, listener === undefined || isRemote ? BEAT_MS : 0)
      const number = Math.max(0, ...await claimant.judgeAll()) + 1
      const descriptor = makeClaim(root, number, note)
      if (descriptor === undefined) continue
      const path = join(root, claimName(number))
      try {
        await claimant.judgeAll(number)
        await claimant.clear(number, token)
        return new HeldLock(directory, path, descriptor, listener, note, isRemote, claimant.isTakeover)
      } catch (error) {
        closeSync(descriptor)
        removeQuietly(path)
        if (!(error instanceof SpillwayError)) throw error
        await sleep(5 + Math.random() * 20 * (attempt + 1))
      }
    }
    await claimant.judgeAll()
    throw lockedError(directory.path, undefined, false)
  } catch (error) {
    await listener?.close()
    throw error
  }
}

/** Judges the claims of others. */
class Claimant {
  readonly #directory: DirectoryReference
  readonly #root: string
  readonly #isRemote: boolean
  readonly #patienceMs: number
  /** Claims of dead holders, by identity, with their endpoints. */
  readonly #ended = new Map<string, string | undefined>()
  /** A holder was judged dead without proof. */
  isTakeover = false

  constructor(directory: DirectoryReference, root: string, isRemote: boolean, patienceMs: number) {
    this.#directory = directory
    this.#root = root
    this.#isRemote = isRemote
    this.#patienceMs = patienceMs
  }

  /** Numbers of all other claims, whose holders are dead. Throws LOCKED. */
  async judgeAll(own = 0): Promise<number[]> {
    const { path, device, inode } = this.#directory
    const old = oldHolder(this.#root, path, device, inode)
    if (old !== undefined) {
      throw lockedError(path, old.holder, old.holder?.pid === process.pid, old.isDoubtful ? `If that process has nothing to do with it any more, delete ${join(path, 'LOCK')}` : '')
    }
    const numbers: number[] = []
    for (const number of claimsIn(this.#root)) {
      if (number === own) continue
      const path = join(this.#root, claimName(number))
      const note = readNote(path)
      const identity = identityOf(path, note)
      // A dead holder stays dead.
      if (!this.#ended.has(identity)) {
        const verdict = await this.#judge(path, note)
        if (verdict === 'gone') continue
        if (verdict === 'presumed ended') this.isTakeover = true
        this.#ended.set(identity, note?.endpoint?.name)
      }
      numbers.push(number)
    }
    return numbers
  }

  /** Remove the remains of dead holders. A holder wrongly judged dead learns of it. */
  async clear(own: number, token: string): Promise<void> {
    const root = this.#root
    for (const number of claimsIn(root)) {
      const path = join(root, claimName(number))
      if (number !== own && this.#ended.has(identityOf(path, readNote(path)))) removeQuietly(path)
    }
    const left = new Set(this.#ended.values())
    for (const name of socketsIn(root)) {
      if (name !== `LOCK-${token}.sock` && (left.has(name) || await this.#isStray(name))) removeQuietly(join(root, name))
    }
    removeQuietly(join(root, 'LOCK'))
  }

  async #isStray(name: string): Promise<boolean> {
    const found = statSync(join(this.#root, name), { bigint: true, throwIfNoEntry: false })
    if (found === undefined || Date.now() - Number(found.mtimeMs) < STRAY_MS) return false
    return await probe(this.#root, { name, device: String(found.dev), inode: String(found.ino) }, true) === 'ended'
  }

  /** Throws LOCKED when its holder lives. */
  async #judge(path: string, note: LockNote | undefined): Promise<Verdict> {
    if (note === undefined) return existsSync(path) ? this.#watch(path, undefined) : 'gone'
    const { endpoint, beatMs } = note
    let state = endpoint === undefined ? 'unknown' : await probe(this.#root, endpoint, stateOf(note, false) !== 'unknown')
    // A holder with heartbeats may be on another kernel, even if the directory looks local from here.
    if (state === 'unknown') state = stateOf(note, !this.#isRemote && beatMs === 0)
    if (state === 'ended') return 'ended'
    if (state === 'running') {
      // Released meanwhile.
      if (readNote(path)?.token !== note.token) return 'gone'
      throw lockedError(this.#directory.path, holderOf(note), isOwn(note))
    }
    if (beatMs === 0) {
      throw lockedError(this.#directory.path, holderOf(note), false, `If that process has nothing to do with it any more, delete ${this.#named(path)}`)
    }
    return this.#watch(path, note)
  }

  /** Wait for a heartbeat. */
  async #watch(path: string, note: LockNote | undefined): Promise<Verdict> {
    const before = signOfLife(path)
    for (let waitedMs = 0; waitedMs < this.#patienceMs; waitedMs += LOOK_MS) {
      await sleep(Math.min(LOOK_MS, this.#patienceMs))
      const now = signOfLife(path)
      if (now === '') return 'gone'
      if (now !== before) throw lockedError(this.#directory.path, note && holderOf(note), false)
    }
    return 'presumed ended'
  }

  #named(path: string): string {
    return path.replace(this.#root, this.#directory.path)
  }
}

/** A number may be reused by another claim. */
function identityOf(path: string, note: LockNote | undefined): string {
  return note?.token ?? `${path} ${signOfLife(path)}`
}

class HeldLock implements HostLock {
  readonly isTakeover: boolean
  readonly #directory: DirectoryReference
  readonly #path: string
  readonly #descriptor: number
  readonly #listener: Listener | undefined
  readonly #note: LockNote
  readonly #isRemote: boolean
  readonly #timer: NodeJS.Timeout | undefined
  #beatAtMs = performance.now()
  #lost: SpillwayError | undefined
  #released: Promise<void> | undefined

  constructor(
    directory: DirectoryReference, path: string, descriptor: number, listener: Listener | undefined, note: LockNote, isRemote: boolean, isTakeover: boolean,
  ) {
    this.#directory = directory
    this.#path = path
    this.#descriptor = descriptor
    this.#listener = listener
    this.#note = note
    this.#isRemote = isRemote
    this.isTakeover = isTakeover
    if (note.beatMs > 0) this.#timer = setInterval(() => { this.#beat() }, note.beatMs).unref()
  }

  check(): void {
    if (this.#released !== undefined) return
    if (this.#lost === undefined) {
      this.#beat()
      if (this.#isHeld()) return
      this.#lost = this.#lossOf()
    }
    throw this.#lost
  }

  release(): Promise<void> {
    return this.#released ??= this.#release()
  }

  async #release(): Promise<void> {
    clearInterval(this.#timer)
    // The claim goes first: while it exists, its endpoint must listen.
    if (readNote(this.#path)?.token === this.#note.token) removeQuietly(this.#path)
    closeSync(this.#descriptor)
    await this.#listener?.close()
  }

  /** Also called between turns of the event loop, for programs that never yield. */
  #beat(): void {
    const nowMs = performance.now()
    if (this.#note.beatMs === 0 || nowMs - this.#beatAtMs < this.#note.beatMs / 2) return
    this.#beatAtMs = nowMs
    try {
      // Any new value will do; it is never compared with a clock.
      const now = Date.now() / 1000
      futimesSync(this.#descriptor, now, now)
    } catch {
      // Without a heartbeat another process may take over; `check` reports it.
    }
  }

  /** A removed claim has no links. Changes by another machine show only when the name is opened again. */
  #isHeld(): boolean {
    try {
      const own = fstatSync(this.#descriptor)
      if (own.nlink === 0) return false
      if (!this.#isRemote) return true
      const descriptor = openSync(this.#path, 'r')
      try {
        return fstatSync(descriptor).ino === own.ino
      } finally {
        closeSync(descriptor)
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ESTALE') return false
      throw error
    }
  }

  #lossOf(): SpillwayError {
    const { path } = this.#directory
    if (isRemoved(this.#directory)) return directoryLost(path, 'was removed')
    const by = this.#successor()
    return lockLost(path, by && holderOf(by))
  }

  #successor(): LockNote | undefined {
    try {
      const root = this.#directory.root === '' ? this.#directory.path : this.#directory.root
      const number = claimsIn(root).at(-1)
      return number === undefined ? undefined : readNote(join(root, claimName(number)))
    } catch {
      return undefined
    }
  }
}

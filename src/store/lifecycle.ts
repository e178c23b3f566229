/**
 * A store from its opening to its end.
 *
 * Invariants
 * 1. Opening holds the lock before anything is read that another process could change, and gives back all it took if it fails.
 * 2. When a store is closed everything acknowledged is on disk, nothing of it runs, and all its memory is given back; the lock goes last.
 *
 * Accounts: all of a store's, see `engine.ts`.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Host, HostLock } from '../host/host.ts'
import { nodeHost } from '../host/node/node-host.ts'
import { Background } from './background.ts'
import { Committer } from './commit.ts'
import { Core } from './core.ts'
import { describe } from './encoding.ts'
import { Engine } from './engine.ts'
import type { Tenant } from './engine.ts'
import { tellError } from './events.ts'
import { ioError } from './io-error.ts'
import { checkedSettings } from './options.ts'
import { inspect, recover } from './recovery.ts'
import type { RecoveryReport } from './recovery.ts'
import type { OpenOptions } from './types.ts'
import { warmUp } from './warm-up.ts'
import { Writer } from './writer.ts'

/** With more log segments than this, closing waits for a flush. */
const MOST_LOGS_LEFT = 8

/** The parts of an open store. */
export interface OpenStore {
  readonly core: Core
  readonly background: Background
  readonly committer: Committer
  readonly writer: Writer
  readonly recovery: RecoveryReport
  /** What the store is to its engine. */
  readonly tenant: Tenant
}

/** As far as opening has come. */
type Opened = { [part in 'core' | 'background' | 'committer' | 'tenant']: OpenStore[part] | undefined }

/** See `Spillway.open` for what it throws. */
export async function openStore(directory: string, options: OpenOptions<any, any>): Promise<OpenStore> {
  if (typeof directory !== 'string' || directory === '') throw invalidArgument(`Spillway.open takes the path of a directory, not ${describe(directory)}`)
  const host: Host = options?.host ?? nodeHost()
  const settings = checkedSettings(options, host)
  await Engine.settled(settings.budget)
  const engine = Engine.acquire(settings.budget, host, settings.blockBytes, {
    isShared: settings.sharesBudget, writeShare: settings.writeShare, compressedCache: settings.compressedCache, rowCache: settings.rowCache, coldReads: settings.coldReads,
  })
  let core: Core | undefined
  let background: Background | undefined
  let committer: Committer | undefined
  let tenant: Tenant | undefined
  try {
    core = new Core(engine, directory, settings)
    inspect(core, false)
    host.files.makeDirectory(directory)
    core.lock = await host.lock(directory)
    const made = core
    const recovered = recover(core, () => background = new Background(made))
    committer = new Committer(core, recovered.background)
    committer.start()
    const writer = new Writer(core, recovered.background, committer)
    tenant = tenantOf(core, recovered.background, committer, writer)
    engine.admit(tenant)
    recovered.background.schedule()
    // Simulated hosts are to do the same in every process.
    if (options?.host === undefined) warmUp(core)
    return { core, background: recovered.background, committer, writer, recovery: recovered.report, tenant }
  } catch (error) {
    const opened = { core, background, committer, tenant }
    // Whatever more goes wrong now: this is why it was not opened.
    await giveBack(engine, opened).catch((further: Error) => tellError({ directory, error: further, readOnly: false }))
    throw ioError(error, `opening ${directory}`)
  }
}

/** All that a store has taken which could not be opened. Each part of it, whether or not the others can be given back. */
async function giveBack(engine: Engine, { core, background, committer, tenant }: Opened): Promise<void> {
  try {
    if (core === undefined) return
    core.closing = core.closed = true
    try {
      committer?.abandon()
    } finally {
      try {
        await background?.close()
      } finally {
        try {
          if (tenant !== undefined) engine.dismiss(tenant)
          core.releaseMemory()
        } finally {
          await (core.lock as HostLock | undefined)?.release()
        }
      }
    }
  } finally {
    await engine.release()
  }
}

/** Iterators and snapshots end, waiting writes fail. */
export async function closeStore({ core, background, committer, writer, tenant }: OpenStore): Promise<void> {
  // A life too short for a flush must not leave ever more log behind. What it cannot flush is in the log.
  if (core.logs.length > MOST_LOGS_LEFT && core.readOnlyReason === undefined) await writer.flush().catch(() => {})
  core.closing = true
  for (const transaction of [...core.transactions]) transaction.abandon()
  for (const iterator of core.iterators.list()) iterator.closeSync()
  core.snapshots.closeAll()
  writer.close()
  try {
    // What ends from now on is not installed any more: the manifest that says how the store was closed is the last one.
    await background.installed()
    await committer.close()
  } catch (error) {
    throw ioError(error, 'closing the log')
  } finally {
    core.closed = true
    try {
      await background.close()
      core.engine.dismiss(tenant)
      core.releaseMemory()
      await core.engine.release()
      await core.host.files.removed()
    } finally {
      await core.lock.release()
    }
  }
}

function tenantOf(core: Core, background: Background, committer: Committer, writer: Writer): Tenant {
  const { exchange } = committer
  return {
    reclaimableBytes: () => exchange.reclaimableBytes,
    unflushedBytes: () => core.active.memtable.liveBytes,
    yieldMemtable: () => exchange.yield(),
    retryFlush: () => background.retryNow(),
    heldBy: () => exchange.heldBy,
    tableBytes: () => core.tree.tableBytes,
    waitingBytes: () => writer.waitingBytes,
    schedule: () => background.schedule(),
    mergeForReaders: bytesPerSecond => background.mergeForReaders(bytesPerSecond),
    onProgress: () => {
      background.wake()
      writer.onProgress()
    },
  }
}

/**
 * Opening and closing a store.
 *
 * Invariants
 * 1. Opening takes the lock before it reads anything another process could change, and gives everything back if it fails.
 * 2. The opened directory stays the store's, whatever its path comes to mean.
 * 3. After closing, everything acknowledged is on disk, no part of the store runs, and its memory is given back; the lock goes
 *    last.
 *
 * Accounts: all of a store's, see `budget-engine.ts`.
 */
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { newestManifest } from '../../base/file-names.ts'
import type { Host, HostDirectory, HostLock } from '../../host/host.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import type { Lease } from '../../memory/budget.ts'
import { Background } from '../background/background.ts'
import { GroupCommit } from '../write/group-commit.ts'
import { StoreState } from '../state/store-state.ts'
import { describe } from '../../encoding/encoding.ts'
import { BudgetEngine } from '../engine/budget-engine.ts'
import type { Tenant } from '../engine/tenant.ts'
import { emitError } from '../api/events.ts'
import { ioError } from '../api/io-errors.ts'
import { checkedSettings } from '../api/settings.ts'
import type { Settings } from '../api/settings.ts'
import { ReadOnlyFiles } from './read-only-files.ts'
import { readOnlyPlace, writablePlace } from './store-place.ts'
import { holdForReading, readOnlyBackground, recoverForReading } from './read-only.ts'
import { inspect, recover } from './recovery.ts'
import type { RecoveryReport } from './recovery.ts'
import { leaseInTurn } from '../engine/wait-for-lease.ts'
import type { OpenOptions } from '../api/options.ts'
import { precompile } from './precompile.ts'
import { Writer } from '../write/writer.ts'

/** With more log segments, closing waits for a flush. */
const MAX_LOGS_LEFT = 8

/** The parts of an open store. */
export interface OpenStore {
  readonly core: StoreState
  readonly background: Background
  readonly committer: GroupCommit
  readonly writer: Writer
  readonly recovery: RecoveryReport
  /** Registers the store with its engine. */
  readonly tenant: Tenant
  /** Close the directory and release its lock. */
  readonly release: () => Promise<void>
}

/** The parts opened so far. */
type Opened = { [part in 'core' | 'background' | 'committer' | 'tenant']: OpenStore[part] | undefined }

/** A locked directory. */
interface Owned {
  readonly directory: HostDirectory
  readonly lock: HostLock
}

/** A former owner may publish manifests until it notices that it was fenced. Each attempt starts over. */
const MAX_ATTEMPTS = 10

/** Throws as `Spillway.open`. */
export async function openStore(path: string, options: OpenOptions<any, any>): Promise<OpenStore> {
  if (typeof path !== 'string' || path === '') throw invalidArgument(`Spillway.open takes the path of a directory, not ${describe(path)}`)
  const host: Host = options?.host ?? nodeHost()
  const settings = checkedSettings(options, host)
  const whyNoStore = host.shortcomings?.().store
  if (whyNoStore !== undefined) throw new SpillwayError('SPILLWAY_UNAVAILABLE', `no store can be kept here, because ${whyNoStore}`)
  await BudgetEngine.settled(settings.budget)
  const engine = BudgetEngine.acquire(host, settings)
  const directory = host.resolve(path)
  try {
    const owned = await own(host, directory, settings)
    try {
      const store = await openOwned(engine, owned, settings)
      // Simulated hosts behave alike in every process.
      if (options?.host === undefined) precompile(store.core)
      return store
    } catch (thrown) {
      let error = thrown
      // A writer's changes in between are no damage.
      if (settings.isReadOnly) await owned.directory.checkUnlocked().catch((locked: unknown) => { error = locked })
      await disown(owned).catch((further: Error) => emitError({ directory, error: further, readOnly: false }))
      throw error
    }
  } catch (error) {
    await engine.release()
    throw ioError(error, `opening ${directory}`)
  }
}

/** Make the directory if needed, and lock it; reading does neither. */
async function own(host: Host, path: string, settings: Settings): Promise<Owned> {
  inspect(host.files, path, settings, false)
  if (!settings.isReadOnly) host.files.makeDirectory(path)
  const directory = host.openDirectory(path)
  try {
    return { directory, lock: settings.isReadOnly ? await holdForReading(directory) : await directory.lock() }
  } catch (error) {
    directory.close()
    throw error
  }
}

async function disown({ directory, lock }: Owned): Promise<void> {
  try {
    await directory.files.removed()
  } finally {
    try {
      await lock.release()
    } finally {
      directory.close()
    }
  }
}

async function openOwned(engine: BudgetEngine, owned: Owned, settings: Settings): Promise<OpenStore> {
  for (let attempt = 1; ; attempt++) {
    const opened: Opened = { core: undefined, background: undefined, committer: undefined, tenant: undefined }
    try {
      return openParts(engine, owned, settings, opened, await leaseInTurn(engine, engine.storeNeeds))
    } catch (error) {
      const isOvertaken = owned.lock.isTakeover && attempt < MAX_ATTEMPTS && hasNewerManifest(owned, opened.core)
      // The first error is the reason; others are reported.
      await giveBack(engine, opened).catch((further: Error) => emitError({ directory: owned.directory.path, error: further, readOnly: false }))
      if (!isOvertaken) throw error
    }
  }
}

function hasNewerManifest({ directory }: Owned, core: StoreState | undefined): boolean {
  return core !== undefined && newestManifest(directory.files.list(directory.path)) > core.files.manifests.newestNumber
}

function openParts(engine: BudgetEngine, owned: Owned, settings: Settings, opened: Opened, leases: Lease[]): OpenStore {
  const { host, kernels } = engine
  const spill = settings.isReadOnly ? new ReadOnlyFiles(host, owned.directory.path) : undefined
  const place = spill === undefined ? writablePlace(host, owned.directory, kernels) : readOnlyPlace(host, owned.directory, kernels, spill)
  const core = opened.core = new StoreState(engine, place, settings, leases)
  core.ownership.hold(owned.lock)
  const recovered = spill !== undefined
    ? recoverForReading(core, () => opened.background = readOnlyBackground(core, spill))
    : recover(core, owned.lock.isTakeover, () => opened.background = new Background(core))
  const committer = opened.committer = new GroupCommit(core, recovered.background)
  if (!settings.isReadOnly) committer.start()
  const writer = new Writer(core, recovered.background, committer)
  const tenant = opened.tenant = tenantOf(core, recovered.background, committer, writer)
  engine.memory.admit(tenant)
  recovered.background.schedule()
  return { core, background: recovered.background, committer, writer, recovery: recovered.report, tenant, release: () => disown(owned) }
}

/** Give back all parts of a store that could not be opened, each whether or not the others can be. */
async function giveBack(engine: BudgetEngine, { core, background, committer, tenant }: Opened): Promise<void> {
  if (core === undefined) return
  core.health.closing = core.health.closed = true
  core.ownership.close()
  try {
    committer?.abandon()
  } finally {
    try {
      await background?.close()
    } finally {
      if (tenant !== undefined) engine.memory.dismiss(tenant)
      core.releaseMemory()
    }
  }
}

/** End iterators and snapshots, fail waiting writes. */
export async function closeStore({ core, background, committer, writer, tenant, release }: OpenStore): Promise<void> {
  // Short lives must not pile up log segments. Data that cannot be flushed stays in the log.
  if (core.files.logs.length > MAX_LOGS_LEFT && core.health.readOnlyReason === undefined) await writer.flush().catch(() => {})
  core.health.closing = true
  for (const transaction of [...core.transactions.open]) transaction.close()
  for (const iterator of core.iterators.list()) iterator.close()
  core.snapshots.closeAll()
  writer.close()
  try {
    // Later results are not installed: the manifest that records the close is the last one.
    await background.installed()
    if (core.settings.isReadOnly) committer.abandon()
    else await committer.close()
  } catch (error) {
    throw ioError(error, 'closing the log')
  } finally {
    core.health.closed = true
    core.ownership.close()
    try {
      await background.close()
      core.engine.memory.dismiss(tenant)
      core.releaseMemory()
      await core.engine.release()
    } finally {
      await release()
    }
  }
}

function tenantOf(core: StoreState, background: Background, committer: GroupCommit, writer: Writer): Tenant {
  const { exchange } = committer
  return {
    owner: exchange,
    writtenBytes: () => core.counters.userBytes - core.counters.largeBytes,
    reclaimableBytes: () => exchange.reclaimableBytes,
    unflushedBytes: () => core.view.active.memtable.liveBytes,
    yieldMemtable: () => exchange.yield(),
    retryFlush: isAskedFor => background.flusher.retry(isAskedFor),
    heldBy: () => exchange.heldBy,
    tableBytes: () => core.view.tree.tableBytes,
    waitingBytes: () => writer.waitingBytes,
    schedule: () => background.schedule(),
    mergeForReaders: bytesPerSecond => background.mergeForReaders(bytesPerSecond),
    onProgress: () => {
      background.wake()
      writer.onProgress()
    },
  }
}

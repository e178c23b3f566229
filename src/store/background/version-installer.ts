/**
 * Makes what flushes and merges wrote part of the store: their tables are opened, the next manifest names them, and once that is
 * durable the tree is exchanged and what it replaces is removed.
 *
 * The manifest is published by a job of the runner, before all other jobs. So this thread does not wait for the disk where there is a
 * worker, and waits as for any other job where a caller gives the event loop no turn.
 *
 * Invariants
 * 1. One manifest at a time. What comes while it is on its way goes into the next one, all of it together, each edit applied to what
 *    those before it left.
 * 2. Until the manifest counts nothing of it is seen, and nothing that it replaces is removed.
 * 3. An edit that cannot be prepared fails alone; one manifest that fails is the failure of all its edits. Their tables are removed,
 *    unless the manifest may be there: then the store takes no more writes, and recovery judges. One that is there and durable, while the directory cannot
 *    be listed, is passed over: its tables stay until the next one is durable.
 * 4. Who installs in one step has its turn at the end of the manifest that is on its way, before what waits for the next one. A turn
 *    is one call and waits for nothing, so that nobody is kept waiting by one that has not come yet. A batch larger than memory, which
 *    waits inside its own call, comes after what waits.
 *
 * Account: `table metadata`, through the tables. Cost: a message to the worker and back, on this thread.
 */
import { compareKeys } from '../../base/bytes.ts'
import { isNotDurable } from '../../compaction/sync-errors.ts'
import type { PublishArgs } from '../../compaction/publish.ts'
import type { NewManifest } from '../../manifest/manifest-store.ts'
import { Unlisted } from '../../manifest/unlisted.ts'
import { applyEdit } from '../../manifest/version.ts'
import type { TableRecord, Version, VersionEdit } from '../../manifest/version.ts'
import type { TableProperties } from '../../table/properties.ts'
import type { StoreState } from '../state/store-state.ts'
import { deferred } from '../api/deferred.ts'
import { MERGE_SPARE_BYTES } from '../engine/budget-plan.ts'
import { Tree, recordOf } from '../state/tree.ts'

/** Before flushes: writers wait for it, and it is short. */
const PUBLISH_PRIORITY = -1

interface Edit {
  /** Tables that are not open yet. */
  readonly added: readonly TableProperties[]
  readonly edit: VersionEdit
  /** What the cache held of the tables that it removed. */
  droppedBytes: number
}

interface WaitingEdit extends Edit {
  readonly done: (error: Error | undefined, droppedBytes: number) => void
}

/** An edit whose tables are open, and the version that it makes. */
interface Prepared<E extends Edit> {
  readonly wanted: E
  readonly version: Version
}

export class VersionInstaller {
  readonly #core: StoreState
  readonly #waiting: WaitingEdit[] = []
  readonly #turns: (() => void)[] = []
  /** One of them is being called. */
  #isTurning = false
  #isBusy = false
  /** Manifests that are there and did not count, and the tables that they name beside those that do. */
  readonly #unlisted: { number: number, added: readonly TableProperties[] }[] = []

  constructor(core: StoreState) {
    this.#core = core
  }

  /** A manifest is on its way. */
  get isBusy(): boolean { return this.#isBusy }

  /**
   * `done` is called once, when the edit counts or has failed: within this call, from the event loop or from the runner's `pump`. With
   * it comes what the cache held of tables that are gone now.
   */
  add(added: readonly TableProperties[], edit: VersionEdit, done: (error: Error | undefined, droppedBytes: number) => void): void {
    this.#waiting.push({ added, edit, done, droppedBytes: 0 })
    this.#goOn()
  }

  /**
   * Call `install` when no manifest is on its way: in this call, or at the end of the one that is. It may use `now`. Resolves to what
   * it returns, once it has returned.
   */
  turn<T>(install: () => T): Promise<T> {
    const { promise, resolve, reject } = deferred<T>()
    this.#turns.push(() => {
      try {
        resolve(install())
      } catch (error) {
        reject(error as Error)
      }
    })
    this.#goOn()
    return promise
  }

  /** The same as `add` within this call, while `isBusy` is false. */
  now(added: readonly TableProperties[], edit: VersionEdit): void {
    if (this.#isBusy) throw new Error('a manifest is on its way already')
    const prepared = this.#prepare({ added, edit, droppedBytes: 0 }, this.#core.view.version)
    try {
      this.#core.files.manifests.commit(prepared.version)
    } catch (error) {
      this.#undo([prepared], error as Error)
      if (error instanceof Unlisted) this.#takeBack(error)
      throw error
    }
    this.#install([prepared])
  }

  /** If no manifest is on its way: those whose turn it is, then what waits. */
  #goOn(): void {
    if (this.#isBusy || this.#isTurning) return
    this.#isTurning = true
    for (let turn = this.#turns.shift(); turn !== undefined; turn = this.#turns.shift()) turn()
    this.#isTurning = false
    this.#begin()
  }

  #begin(): void {
    const core = this.#core
    // Once, but for edits that fail before there is a manifest.
    while (this.#waiting.length > 0 && !this.#isBusy) {
      this.#isBusy = true
      const group: Prepared<WaitingEdit>[] = []
      const failed: { wanted: WaitingEdit, error: Error }[] = []
      for (const wanted of this.#waiting.splice(0)) {
        try {
          group.push(this.#prepare(wanted, group.at(-1)?.version ?? core.view.version))
        } catch (error) {
          failed.push({ wanted, error: error as Error })
        }
      }
      const last = group.at(-1)
      if (last === undefined) this.#isBusy = false
      else this.#publish(group, core.files.manifests.encode(last.version))
      for (const { wanted, error } of failed) wanted.done(error, 0)
    }
  }

  #publish(group: readonly Prepared<WaitingEdit>[], manifest: NewManifest | undefined): void {
    const { engine, files: { manifests, reference: place } } = this.#core
    if (manifest === undefined) {
      this.#end(group, undefined)
      return
    }
    const { directory, path, bytes } = manifest
    const args: PublishArgs = { place, directory, path, bytes }
    const published = (error: Error | undefined, newest: unknown): void => {
      let failure: Error | undefined
      try {
        if (error === undefined) manifests.settle(manifest, newest as number | undefined)
        else if (isLost(error)) manifests.publishAgain(manifest)
        else failure = manifests.failure(manifest, error)
      } catch (thrown) {
        failure = thrown as Error
      }
      this.#end(group, failure)
    }
    engine.jobs.runner.submit({ name: 'publish', args, priority: PUBLISH_PRIORITY }, published)
  }

  #end(group: readonly Prepared<WaitingEdit>[], failure: Error | undefined): void {
    try {
      if (failure === undefined) this.#install(group)
      else this.#undo(group, failure)
    } catch (error) {
      // The manifest counts, and the store does not know what it names.
      failure = error as Error
      this.#core.health.failStop(failure)
    }
    this.#isBusy = false
    let thrown: unknown
    for (const { wanted } of group) {
      try {
        wanted.done(failure, wanted.droppedBytes)
      } catch (error) {
        // The others are to be told all the same.
        thrown ??= error
      }
    }
    this.#goOn()
    if (thrown !== undefined) throw thrown
  }

  /** Open the tables of an edit and apply it to a version. Throws, and the tables are removed, when that cannot be. */
  #prepare<E extends Edit>(wanted: E, before: Version): Prepared<E> {
    const core = this.#core
    const { added, edit } = wanted
    // A flush leaves memory to a merge, which will free some.
    const keptBytes = edit.remove === undefined ? MERGE_SPARE_BYTES : 0
    try {
      // The manifest of this number may be there already, and it would be taken for that of another process.
      if (core.health.readOnlyReason !== undefined) throw core.health.readOnlyReason
      core.ownership.check()
      for (const properties of added) core.tables.open(recordOf(properties), keptBytes)
      const after = applyEdit(before, { ...edit, nextFile: Atomics.load(core.files.nextNumber, 0) }, tables => sortedByKey(core, tables))
      const version = { ...after, number: core.view.version.number + 1 }
      // One that goes is there until the new version counts.
      core.tables.holdRuns(Math.max(version.runs.length, before.runs.length, core.view.version.runs.length), keptBytes)
      return { wanted, version }
    } catch (error) {
      this.#remove(added)
      throw error
    }
  }

  /**
   * The caller of this edit is told that it failed: it must not come back with the manifest that may count. The state before is published
   * once more, beyond it.
   */
  #takeBack(failure: Error): void {
    const core = this.#core
    const version = { ...core.view.version, number: core.view.version.number + 1 }
    const manifest = core.files.manifests.encode(version)!
    try {
      core.files.io.publish(manifest.path, manifest.bytes)
      this.#unlisted.push({ number: version.number, added: [] })
      core.setVersion(version)
    } catch {
      core.health.failStop(failure)
    }
  }

  #undo(group: readonly Prepared<Edit>[], failure: Error): void {
    const core = this.#core
    if (failure instanceof Unlisted) {
      // Should this process die now, the manifest counts: what it names stays until the next one is durable, which leaves it out.
      const added = group.flatMap(({ wanted }) => wanted.added)
      for (const { fileNumber } of added) core.tables.drop(fileNumber)
      const number = core.view.version.number + 1
      this.#unlisted.push({ number, added })
      core.setVersion({ ...core.view.version, number })
      return
    }
    const isFenced = (failure as { code?: unknown }).code === 'SPILLWAY_FENCED'
    if (isFenced) {
      // Another writer may have gone on from it.
      core.ownership.lose(failure)
    } else if (this.#mayExist(core.view.version.number + 1)) {
      // It may or may not be durable: nothing it names may be removed.
      core.health.failStop(failure)
    } else {
      for (const { wanted } of group) this.#remove(wanted.added)
    }
  }

  #mayExist(number: number): boolean {
    try {
      return this.#core.files.manifests.exists(number)
    } catch {
      // Whoever cannot be asked does not say no. The failure that led here is told.
      return true
    }
  }

  #install(group: readonly Prepared<Edit>[]): void {
    const core = this.#core
    for (const { wanted, version } of group) {
      const { added, edit } = wanted
      for (const properties of added) core.valueFiles.retain(properties.valueFiles)
      core.setTables(version, new Tree(version, core.tables.readers, core.strategy, core.view.tree, edit.remove !== undefined))
      for (const number of edit.remove ?? []) {
        const { valueFiles } = core.tables.get(number).properties
        wanted.droppedBytes += core.engine.reading.cache.dropTable(core.tables.get(number).id)
        core.tables.drop(number)
        core.files.discardSoon(core.files.tablePath(number))
        core.valueFiles.release(valueFiles)
      }
    }
    core.tables.holdRuns(core.view.version.runs.length)
    for (const { number, added } of this.#unlisted.splice(0)) {
      core.files.manifests.remove(number)
      this.#remove(added)
    }
  }

  /** Nobody names these tables. */
  #remove(added: readonly TableProperties[]): void {
    const core = this.#core
    for (const { fileNumber } of added) {
      core.tables.drop(fileNumber)
      core.files.discard(core.files.tablePath(fileNumber))
    }
  }
}

/** The job did not end by itself: its thread died, or there was none. */
function isLost(error: Error): boolean {
  const { code } = error as { code?: unknown }
  return code === 'SPILLWAY_ABORTED' || (code === 'SPILLWAY_UNAVAILABLE' && !isNotDurable(error))
}

/** The tables of a run, all of them open, in the order of their keys. Each key is looked up once. */
function sortedByKey(core: StoreState, tables: readonly TableRecord[]): TableRecord[] {
  const keyed = tables.map(table => {
    const { firstKey, rangeStart } = core.tables.get(table.fileNumber).properties
    return { table, key: (firstKey ?? rangeStart)! }
  })
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map(({ table }) => table)
}

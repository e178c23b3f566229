/**
 * Makes the output of flushes and merges part of the store: opens the tables, publishes the next manifest and, once that is
 * durable, exchanges the tree and removes the replaced tables.
 *
 * The manifest is published by a job that runs before all others. With a worker this thread does not wait for the disk, and a
 * caller that never yields waits as for any other job.
 *
 * Invariants
 * 1. One manifest is in flight at a time. Edits that arrive meanwhile are combined into the next one, each applied to the version
 *    before it.
 * 2. Until the manifest is durable no edit is visible and nothing is removed.
 * 3. An edit that cannot be prepared fails alone; a failed manifest fails all its edits. Their tables are removed, unless the
 *    manifest may exist: then the store stops, and recovery decides. A durable manifest in a directory that cannot be listed is
 *    skipped: its tables stay until the next one is durable.
 * 4. A caller that installs in one step gets its turn when the manifest in flight ends, before the queued edits. A turn is one call
 *    and never waits. A batch larger than memory, which waits inside its call, comes after queued edits.
 *
 * Account: `table metadata`, through the tables. Cost: one message to the worker and back.
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
  /** Cached bytes of the removed tables. */
  droppedBytes: number
}

interface WaitingEdit extends Edit {
  readonly done: (error: Error | undefined, droppedBytes: number) => void
}

/** An edit with open tables, and the version it makes. */
interface Prepared<E extends Edit> {
  readonly wanted: E
  readonly version: Version
}

export class VersionInstaller {
  readonly #core: StoreState
  readonly #waiting: WaitingEdit[] = []
  readonly #turns: (() => void)[] = []
  /** A turn is being called. */
  #isTurning = false
  #isBusy = false
  /** Manifests that exist but did not count, and the tables only they name. */
  readonly #unlisted: { number: number, added: readonly TableProperties[] }[] = []

  constructor(core: StoreState) {
    this.#core = core
  }

  /** A manifest is in flight. */
  get isBusy(): boolean { return this.#isBusy }

  /**
   * Queue an edit. `done` is called once, when the edit counts or has failed: within this call, from the event loop or from the
   * runner's `pump`. `droppedBytes`: cached bytes of removed tables.
   */
  add(added: readonly TableProperties[], edit: VersionEdit, done: (error: Error | undefined, droppedBytes: number) => void): void {
    this.#waiting.push({ added, edit, done, droppedBytes: 0 })
    this.#goOn()
  }

  /** Call `install` when no manifest is in flight, now or later. It may use `now`. Resolves to its result. */
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

  /** Install an edit within this call, while `isBusy` is false. */
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

  /** Without a manifest in flight: turns first, then queued edits. */
  #goOn(): void {
    if (this.#isBusy || this.#isTurning) return
    this.#isTurning = true
    for (let turn = this.#turns.shift(); turn !== undefined; turn = this.#turns.shift()) turn()
    this.#isTurning = false
    this.#begin()
  }

  #begin(): void {
    const core = this.#core
    // Once, unless all edits fail before there is a manifest.
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
      // The manifest counts, and the store does not know its contents.
      failure = error as Error
      this.#core.health.failStop(failure)
    }
    this.#isBusy = false
    let thrown: unknown
    for (const { wanted } of group) {
      try {
        wanted.done(failure, wanted.droppedBytes)
      } catch (error) {
        // The others are called all the same.
        thrown ??= error
      }
    }
    this.#goOn()
    if (thrown !== undefined) throw thrown
  }

  /** Open the tables of an edit and apply it to a version. On an error the tables are removed. */
  #prepare<E extends Edit>(wanted: E, before: Version): Prepared<E> {
    const core = this.#core
    const { added, edit } = wanted
    // A flush leaves memory to a merge, which will free some.
    const keptBytes = edit.remove === undefined ? MERGE_SPARE_BYTES : 0
    try {
      // A manifest of this number may exist, and would be mistaken for another process's.
      if (core.health.readOnlyReason !== undefined) throw core.health.readOnlyReason
      core.ownership.check()
      for (const properties of added) core.tables.open(recordOf(properties), keptBytes)
      const after = applyEdit(before, { ...edit, nextFile: Atomics.load(core.files.nextNumber, 0) }, tables => sortedByKey(core, tables))
      const version = { ...after, number: core.view.version.number + 1 }
      // The old version exists until the new one counts.
      core.tables.holdRuns(Math.max(version.runs.length, before.runs.length, core.view.version.runs.length), keptBytes)
      return { wanted, version }
    } catch (error) {
      this.#remove(added)
      throw error
    }
  }

  /**
   * The caller is told that the edit failed, so the manifest that may count must not win: publish the previous state once more,
   * after it.
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
      // If the process dies now, the manifest counts: its tables stay until the next one, which leaves them out, is durable.
      const added = group.flatMap(({ wanted }) => wanted.added)
      for (const { fileNumber } of added) core.tables.drop(fileNumber)
      const number = core.view.version.number + 1
      this.#unlisted.push({ number, added })
      core.setVersion({ ...core.view.version, number })
      return
    }
    const isFenced = (failure as { code?: unknown }).code === 'SPILLWAY_FENCED'
    if (isFenced) {
      // Another writer may have continued from it.
      core.ownership.lose(failure)
    } else if (this.#mayExist(core.view.version.number + 1)) {
      // It may or may not be durable: no table it names may be removed.
      core.health.failStop(failure)
    } else {
      for (const { wanted } of group) this.#remove(wanted.added)
    }
  }

  #mayExist(number: number): boolean {
    try {
      return this.#core.files.manifests.exists(number)
    } catch {
      // Unknown counts as yes. The original failure is reported.
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

  /** No manifest names these tables. */
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

/** The tables of a run in key order, all open. Each key is looked up once. */
function sortedByKey(core: StoreState, tables: readonly TableRecord[]): TableRecord[] {
  const keyed = tables.map(table => {
    const { firstKey, rangeStart } = core.tables.get(table.fileNumber).properties
    return { table, key: (firstKey ?? rangeStart)! }
  })
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map(({ table }) => table)
}

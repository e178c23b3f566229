/**
 * How a transaction becomes part of the store, all of it or nothing.
 *
 * A small one, still in memory, is one batch in the log. Otherwise the next manifest names all its finished tables, which get the
 * next sequence numbers by an offset, so that each byte is written once.
 *
 * Invariants
 * 1. The last conflict check and the commit are one synchronous step: the transaction follows exactly the state it was checked
 *    against.
 * 2. Before the manifest everything written earlier is durable in the log; later writes begin a new segment. So the gap in the
 *    log's sequence numbers is between two segments, and a recovery that finds the manifest finds everything before it.
 * 3. A failure before the manifest leaves no trace. If the manifest may exist, the store takes no more writes, and recovery
 *    decides.
 */
import type { Background } from '../background/background.ts'
import type { GroupCommit } from '../write/group-commit.ts'
import type { StoreState } from '../state/store-state.ts'
import { BatchTooLarge } from '../write/memtable-rotation.ts'
import type { Operations } from '../api/operation.ts'
import type { ReadSet } from './read-set.ts'
import { CommitWatch } from './conflicts.ts'
import type { Conflicts } from './conflicts.ts'
import { TransactionBatch } from './transaction-batch.ts'
import { installTables } from '../staged/commit-staged.ts'
import type { StagedTables } from '../staged/staged-tables.ts'
import type { Durability } from '../api/options.ts'
import type { Writer } from '../write/writer.ts'

/** A larger transaction in memory is written to a table: once instead of twice. */
const SMALL_BYTES = 1024 * 1024
/** Up to this it waits for memory as a copy, without an arena. */
const PACKED_BYTES = 64 * 1024
/** Attempts to find space in log and memtable before it becomes a table. */
const MAX_TRIES = 4
/** Full checks that writes without known keys may outdate. The next one runs without interruption. */
const MAX_CHECKS = 5
/** Ranges ahead of the log that a manifest may have; each goes with the flush that reaches it. */
const MAX_AHEAD = 16

export interface StoreParts {
  readonly core: StoreState
  readonly background: Background
  readonly committer: GroupCommit
  readonly writer: Writer
  readonly conflicts: Conflicts
}

/** What a commit waits for: a turn of the event loop, the end of a job, or a promise. */
export type Step = 'turn' | 'job' | Promise<void>

/** The caller of a commit. */
export interface Commission {
  /** Throws when the commit is cancelled, or the store takes no writes. */
  check(): void
  /** Wait, then `check`. */
  wait(step: Step): Promise<void>
  /** Called in the step that has committed. */
  done(): void
}

/** Commit it as one batch in the log. False: it must become tables. Throws ConflictError. */
export async function commitSmall(
  parts: StoreParts, tables: StagedTables, reads: ReadSet, since: number, durability: Durability, signal: AbortSignal | undefined,
): Promise<boolean> {
  const { core, background, writer, conflicts } = parts
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (!tables.isInMemory || tables.active.memtable.liveBytes > SMALL_BYTES || reads.tables !== undefined) return false
    const operations: Operations = new TransactionBatch(tables.active)
    const check = (checked: Operations): void => {
      core.health.checkWritable()
      for (const _ of conflicts.checkReads(reads, since));
      conflicts.checkOperations(checked, since)
    }
    operations.prepare = () => check(operations)
    let acknowledgement: Promise<void> | undefined
    tables.freeze(true)
    try {
      acknowledgement = writer.tryNow(operations, durability)
    } catch (error) {
      if (error instanceof BatchTooLarge) return false
      throw error
    } finally {
      tables.freeze(false)
    }
    if (acknowledgement !== undefined) {
      const releaseValues = tables.releaseMemory()
      try {
        await acknowledgement
      } finally {
        releaseValues()
      }
      return true
    }
    if (operations.bytes <= PACKED_BYTES) {
      const packed = operations.keep()
      packed.prepare = () => check(packed)
      const releaseValues = tables.releaseMemory()
      try {
        await writer.write(packed, durability, signal)
      } finally {
        releaseValues()
      }
      return true
    }
    await background.changed()
    core.health.checkWritable()
  }
  return false
}

/** Commit it as tables; done when this resolves. Throws ConflictError for a key written by another. */
export async function commitTables(
  parts: StoreParts, tables: StagedTables, reads: ReadSet, since: number, commission: Commission,
): Promise<void> {
  const { core, background, committer, conflicts } = parts
  for (const part of reads.tables === undefined ? [tables] : [tables, reads.tables]) {
    part.finishing = true
    while (!part.sealAll() || part.isBusy) await commission.wait('job')
  }
  await commission.wait(committer.syncLog())
  while ((core.view.version.ahead?.length ?? 0) >= MAX_AHEAD && core.engine.jobs.isBusy) await commission.wait('job')
  const watch = new CommitWatch(tables, reads)
  core.watchers.add(watch)
  try {
    committer.commitPending()
    let checked = since
    const checkAll = function* (): Generator<void, void, void> {
      yield* conflicts.checkReads(reads, checked)
      yield* conflicts.checkTables(tables, checked)
    }
    for (let checks = 1; ; checks++) {
      const isOvertaken = checks > MAX_CHECKS
      if (!isOvertaken) {
        const upTo = core.lastSeq
        watch.missed = false
        for (const _ of checkAll()) {
          await commission.wait('turn')
          watch.check()
        }
        checked = upTo
      }
      // A manifest in flight does not name them.
      const isInstalled = await background.installer.turn(() => {
        commission.check()
        committer.commitPending()
        watch.check()
        // Without turns of the event loop: otherwise large transactions beside others might never end.
        if (isOvertaken) for (const _ of checkAll());
        else if (watch.missed) return false
        core.watchers.delete(watch)
        installTables(parts, tables)
        commission.done()
        return true
      })
      if (isInstalled) return
    }
  } finally {
    core.watchers.delete(watch)
  }
}

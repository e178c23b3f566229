/**
 * How a transaction becomes part of the store, all of it or nothing.
 *
 * Small, and in memory still: one batch in the log, like any other. Otherwise its tables, which are complete, are named by the next
 * manifest, all by the same one. They take the sequence numbers that come next, by an offset: each byte was written once.
 *
 * Invariants
 * 1. What the store holds when it is checked is what the transaction follows: the last look and the commit are one synchronous step.
 * 2. Before the manifest all that was written earlier is durable in the log; what is written later begins a new segment. So the gap
 *    in the log's sequence numbers is between two segments, and whoever finds the manifest finds everything before it.
 * 3. A failure before the manifest leaves no trace. If nobody knows whether it is there, the store takes no more writes, and the
 *    tables stay for recovery to judge.
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

/** A transaction of more than this in memory is written to a table: that is once instead of twice. */
const SMALL_BYTES = 1024 * 1024
/** Up to this it waits for room as a copy, without an arena of its own. */
const PACKED_BYTES = 64 * 1024
/** How often it tries to find room in the log and memtable before it becomes a table. */
const MAX_TRIES = 4
/** So many checks of everything may be overtaken by writes that do not name their keys. The next one is made where nobody writes. */
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

/** What a commit waits for: that the event loop turns, that a job ends, or a promise. */
export type Step = 'turn' | 'job' | Promise<void>

/** Who has asked for a commit. */
export interface Commission {
  /** Throws when the commit is not wanted any more, or the store takes no writes. */
  check(): void
  /** Wait, then `check`. */
  wait(step: Step): Promise<void>
  /** It is committed: called in the step that has done it. */
  done(): void
}

/** Commit what fits the log in one batch. False: it has to become a table. Throws ConflictError. */
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

/** Commit it as tables: when this resolves, it is. Throws ConflictError, for a key that somebody else has written. */
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
      // The manifest that is on its way does not name them.
      const isInstalled = await background.installer.turn(() => {
        commission.check()
        committer.commitPending()
        watch.check()
        // In one go: it keeps the event loop from its turn, but otherwise large transactions beside others might never end.
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

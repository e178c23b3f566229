/** Random scripts on a store and on a plain map give the same answers, whatever is flushed and merged in between. */
import { test } from 'node:test'
import fc from 'fast-check'
import { commands } from '../testing/commands.ts'
import { Runner } from '../testing/run-commands.ts'
import { DiskSetup, SimSetup } from '../testing/setup.ts'
import { TINY_BUDGET, firstSeed, seedCount, simHost } from '../testing/sim.ts'
import type { CompactionOption, OpenOptions } from '../api/options.ts'

const RUNS = seedCount(32)
const SEED = firstSeed(7001)

/** Many levels and tables out of a few kilobytes. */
const SMALL_LEVELS: CompactionOption = { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 2048, multiplier: 2, targetTableBytes: 2048 }
const SMALL_TIERS: CompactionOption = { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 4096 }

const variants: [string, OpenOptions][] = [
  ['tiered, on the smallest budget', { compaction: SMALL_TIERS, budget: TINY_BUDGET }],
  ['leveled with many small levels, on the smallest budget', { compaction: SMALL_LEVELS, budget: TINY_BUDGET, compression: ['none', 'lz4'] }],
  ['tiered as it comes, without filters, on a large budget', { budget: '48 MiB', filterBitsPerKey: 0, compression: 'none' }],
  ['leveled as it comes, on a middling budget', { compaction: 'leveled', budget: '12 MiB', blockBytes: 4096 }],
]

for (const [name, options] of variants) {
  test(`${name}: a store answers as a map does`, { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), commands, async (seed, script) => {
        await new Runner(new SimSetup(simHost({ seed }), options)).run(script)
      }),
      { seed: SEED, numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: 60_000 },
    )
  })
}

test('on the real disk with a worker a store answers as a map does', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(commands, fc.constantFrom(SMALL_TIERS, SMALL_LEVELS), async (script, compaction) => {
      using setup = new DiskSetup({ compaction, budget: '24 MiB', blockBytes: 1024 })
      await new Runner(setup).run(script)
    }),
    { seed: SEED, numRuns: Math.ceil(RUNS / 10), includeErrorInReport: true, interruptAfterTimeLimit: 60_000 },
  )
})

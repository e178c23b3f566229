/** Options as given, checked and completed. Unknown names, wrong types and impossible values are INVALID_ARGUMENT. */
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { checkOptions } from '../../base/option-names.ts'
import { createStrategy } from '../../compaction/strategies.ts'
import type { StrategyOptions } from '../../compaction/strategies.ts'
import type { Strategy } from '../../compaction/strategy.ts'
import type { Host } from '../../host/host.ts'
import { Budget } from '../../memory/budget.ts'
import type { StrategyRecord } from '../../manifest/version.ts'
import { describe, transcoder } from '../../encoding/encoding.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import type { CompactionOption, Durability, OpenOptions } from './options.ts'

export interface Settings {
  /** Further stores may come to share it. */
  sharesBudget: boolean
  budget: Budget
  durability: Durability
  /** Why durability 'disk' cannot be had on this host. */
  whyNoDisk: string | undefined
  key: Transcoder
  value: Transcoder
  createIfMissing: boolean
  errorIfExists: boolean
  compaction: CompactionOption | undefined
  /** Per level; the last counts for all deeper ones. */
  compression: readonly ('none' | 'lz4')[]
  blockBytes: number
  filterBitsPerKey: number
  writeShare: number | undefined
  compressedCache: boolean
  rowCache: boolean
  coldReads: boolean
  /** Nothing outlives the process: no log, no manifests, no syncs (`scratch-store.ts`). */
  isScratch: boolean
  /** Nothing of the store is changed (`read-only.ts`). */
  isReadOnly: boolean
}

const OPEN_OPTIONS = [
  'budget', 'durability', 'keyEncoding', 'valueEncoding', 'createIfMissing', 'errorIfExists',
  'compaction', 'compression', 'blockBytes', 'filterBitsPerKey', 'writeShare', 'compressedCache', 'rowCache', 'coldReads', 'readOnly', 'host',
]

/** Throws UNAVAILABLE for 'disk' where it cannot be had: `whyNoDisk` says why. */
export function checkedDurability(durability: Durability | undefined, fallback: Durability, whyNoDisk: string | undefined): Durability {
  if (durability === undefined) return fallback
  if (durability !== 'none' && durability !== 'os' && durability !== 'disk') {
    throw invalidArgument(`durability must be 'none', 'os' or 'disk', not ${describe(durability)}`)
  }
  if (durability === 'disk' && whyNoDisk !== undefined) throw new SpillwayError('SPILLWAY_UNAVAILABLE', `durability 'disk' cannot be had, because ${whyNoDisk}`)
  return durability
}

export function checkedSettings(options: OpenOptions<any, any>, host: Host): Settings {
  checkOptions(options, OPEN_OPTIONS, 'Spillway.open')
  const { budget, compression = 'lz4' } = options
  const isReadOnly = flag(options.readOnly, false, 'readOnly')
  if (isReadOnly && options.errorIfExists === true) throw invalidArgument('readOnly reads a store that is there, and errorIfExists refuses it: give one of them')
  const codecs = Array.isArray(compression) ? compression as string[] : [compression as string]
  if (codecs.length === 0 || codecs.some(codec => codec !== 'none' && codec !== 'lz4')) {
    throw invalidArgument(`compression must be 'lz4', 'none' or a list of them by level, not ${JSON.stringify(compression)}`)
  }
  const whyNoDisk = host.shortcomings?.().disk
  return {
    sharesBudget: budget instanceof Budget,
    budget: budget instanceof Budget ? budget : new Budget(budget === undefined ? Math.floor(host.memoryLimitBytes() / 4) : budget),
    durability: checkedDurability(options.durability, 'os', whyNoDisk),
    whyNoDisk,
    key: transcoder(options.keyEncoding ?? 'utf8', 'keyEncoding'),
    value: transcoder(options.valueEncoding ?? 'utf8', 'valueEncoding'),
    createIfMissing: flag(options.createIfMissing, true, 'createIfMissing') && !isReadOnly,
    errorIfExists: flag(options.errorIfExists, false, 'errorIfExists'),
    // Nothing is compacted: what was recorded holds.
    compaction: isReadOnly ? undefined : options.compaction,
    compression: codecs as ('none' | 'lz4')[],
    blockBytes: between(options.blockBytes, 4096, 1024, 65536, 'blockBytes'),
    filterBitsPerKey: between(options.filterBitsPerKey, 10, 0, 64, 'filterBitsPerKey'),
    writeShare: checkedShare(options.writeShare),
    compressedCache: flag(options.compressedCache, true, 'compressedCache'),
    rowCache: flag(options.rowCache, true, 'rowCache'),
    coldReads: flag(options.coldReads, false, 'coldReads'),
    isScratch: false,
    isReadOnly,
  }
}

/** The strategy to open with: as asked for, else as recorded, else tiered. `maxRuns` bounds merges to the budget. */
export function chooseStrategy(asked: CompactionOption | undefined, recorded: StrategyRecord | undefined, maxRuns: number): Strategy {
  let given: Record<string, unknown>
  if (asked === undefined) given = recorded === undefined ? { name: 'tiered' } : { name: recorded.name, ...withinBudget(recorded.parameters, maxRuns) }
  else if (typeof asked === 'string') given = { name: asked }
  else {
    if (typeof asked !== 'object' || asked === null) throw invalidArgument(`compaction must be 'tiered', 'leveled' or an object with a strategy, not ${describe(asked)}`)
    const { strategy, ...parameters } = asked
    given = { name: strategy, ...parameters }
  }
  if (given['name'] === 'tiered' && given['maxRuns'] === undefined && (asked !== undefined || recorded === undefined)) given = { ...given, maxRuns }
  return createStrategy(given as unknown as StrategyOptions)
}

/** A store last opened with more memory may have allowed itself more runs than can be read with this much. */
function withinBudget(parameters: Readonly<Record<string, number>>, maxRuns: number): Record<string, number> {
  const { maxRuns: recorded } = parameters
  return recorded === undefined ? { ...parameters } : { ...parameters, maxRuns: Math.min(recorded, maxRuns) }
}

function checkedShare(value: number | undefined): number | undefined {
  if (value === undefined || (value > 0 && value < 1)) return value
  throw invalidArgument(`writeShare must be between 0 and 1, not ${describe(value)}`)
}

function flag(value: boolean | undefined, fallback: boolean, name: string): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw invalidArgument(`${name} must be true or false, not ${describe(value)}`)
  return value
}

function between(value: number | undefined, fallback: number, least: number, most: number, name: string): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw invalidArgument(`${name} must be a whole number from ${least} to ${most}, not ${describe(value)}`)
  }
  return value
}

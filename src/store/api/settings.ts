/**
 * Options of `Spillway.open`, checked and completed. Unknown names, wrong types and impossible values are INVALID_ARGUMENT.
 *
 * A new option is its type in `options.ts` and one row of OPTIONS; readers take it from the settings by its name.
 */
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { checkOptions } from '../../base/option-names.ts'
import { createStrategy } from '../../compaction/strategies.ts'
import type { StrategyOptions } from '../../compaction/strategies.ts'
import type { Strategy } from '../../compaction/strategy.ts'
import { describe, transcoder } from '../../encoding/encoding.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import type { Host } from '../../host/host.ts'
import type { StrategyRecord } from '../../manifest/version.ts'
import { Budget } from '../../memory/budget.ts'
import type { CompactionOption, Durability, OpenOptions } from './options.ts'

type Codec = 'none' | 'lz4'

/** Checks one option and gives its default. */
type Check<T> = (value: unknown, name: string, host: Host) => T

const OPTIONS = {
  budget: (value, _name, host) => value instanceof Budget ? value : new Budget(value === undefined ? Math.floor(host.memoryLimitBytes() / 4) : value as number | string),
  durability: (value, _name, host) => checkedDurability(value as Durability | undefined, 'os', host.shortcomings?.().disk),
  keyEncoding: (value, name) => transcoder(value === undefined ? 'utf8' : value as 'utf8', name),
  valueEncoding: (value, name) => transcoder(value === undefined ? 'utf8' : value as 'utf8', name),
  createIfMissing: flag(true),
  errorIfExists: flag(false),
  compaction: value => value as CompactionOption | undefined,
  compression: checkedCompression,
  blockBytes: between(4096, 1024, 65536),
  filterBitsPerKey: between(10, 0, 64),
  writeShare: checkedShare,
  compressedCache: flag(true),
  rowCache: flag(true),
  coldReads: flag(false),
  readOnly: flag(false),
  host: value => value as Host | undefined,
} satisfies Record<string, Check<unknown>>

type Checked = { [name in keyof typeof OPTIONS]: ReturnType<(typeof OPTIONS)[name]> }

export interface Settings extends Omit<Checked, 'keyEncoding' | 'valueEncoding' | 'host' | 'readOnly'> {
  readonly key: Transcoder
  readonly value: Transcoder
  /** Opened for reading: nothing of the store is changed (`open/read-only.ts`). */
  readonly isReadOnly: boolean
  /** Nothing outlives the process: no log, manifests or syncs (`scratch/scratch-store.ts`). */
  readonly isScratch: boolean
  /** Other stores may share the budget. */
  readonly isShared: boolean
  /** Why this host cannot offer durability 'disk'; undefined: it can. */
  readonly whyNoDisk: string | undefined
}

/** Throws INVALID_ARGUMENT, and UNAVAILABLE for 'disk' where the host cannot offer it: `whyNoDisk`. */
export function checkedDurability(durability: Durability | undefined, fallback: Durability, whyNoDisk: string | undefined): Durability {
  if (durability === undefined) return fallback
  if (durability !== 'none' && durability !== 'os' && durability !== 'disk') {
    throw invalidArgument(`durability must be 'none', 'os' or 'disk', not ${describe(durability)}`)
  }
  if (durability === 'disk' && whyNoDisk !== undefined) throw new SpillwayError('SPILLWAY_UNAVAILABLE', `durability 'disk' cannot be had, because ${whyNoDisk}`)
  return durability
}

export function checkedSettings(options: OpenOptions<any, any>, host: Host): Settings {
  checkOptions(options, Object.keys(OPTIONS), 'Spillway.open')
  const checked = Object.fromEntries(Object.entries(OPTIONS).map(([name, check]: [string, Check<unknown>]) =>
    [name, check((options as Record<string, unknown>)[name], name, host)])) as unknown as Checked
  const { keyEncoding: key, valueEncoding: value, readOnly: isReadOnly, host: _host, ...rest } = checked
  if (isReadOnly && checked.errorIfExists) throw invalidArgument('readOnly reads a store that is there, and errorIfExists refuses it: give one of them')
  return {
    ...rest, key, value, isReadOnly,
    createIfMissing: rest.createIfMissing && !isReadOnly,
    // Reading compacts nothing: the recorded strategy holds.
    compaction: isReadOnly ? undefined : rest.compaction,
    isScratch: false,
    isShared: options.budget instanceof Budget,
    whyNoDisk: host.shortcomings?.().disk,
  }
}

/** The strategy to open with: as asked for, else as recorded, else tiered. `maxRuns` bounds merges to the budget. */
export function chooseStrategy(asked: CompactionOption | undefined, recorded: StrategyRecord | undefined, maxRuns: number): Strategy {
  let given: Record<string, unknown>
  if (asked === undefined) {
    given = recorded === undefined ? { name: 'tiered' } : { name: recorded.name, ...withinBudget(recorded.parameters, maxRuns) }
  } else if (typeof asked === 'string') {
    given = { name: asked }
  } else {
    if (typeof asked !== 'object' || asked === null) throw invalidArgument(`compaction must be 'tiered', 'leveled' or an object with a strategy, not ${describe(asked)}`)
    const { strategy, ...parameters } = asked
    given = { name: strategy, ...parameters }
  }
  if (given['name'] === 'tiered' && given['maxRuns'] === undefined && (asked !== undefined || recorded === undefined)) given = { ...given, maxRuns }
  return createStrategy(given as unknown as StrategyOptions)
}

/** A store last opened with a larger budget may have recorded more runs than this budget can merge. */
function withinBudget(parameters: Readonly<Record<string, number>>, maxRuns: number): Record<string, number> {
  const { maxRuns: recorded } = parameters
  return recorded === undefined ? { ...parameters } : { ...parameters, maxRuns: Math.min(recorded, maxRuns) }
}

function checkedCompression(value: unknown = 'lz4'): readonly Codec[] {
  const codecs = Array.isArray(value) ? value as unknown[] : [value]
  if (codecs.length === 0 || codecs.some(codec => codec !== 'none' && codec !== 'lz4')) {
    throw invalidArgument(`compression must be 'lz4', 'none' or a list of them by level, not ${JSON.stringify(value)}`)
  }
  return codecs as Codec[]
}

function checkedShare(value: unknown): number | undefined {
  if (value === undefined || (typeof value === 'number' && value > 0 && value < 1)) return value
  throw invalidArgument(`writeShare must be between 0 and 1, not ${describe(value)}`)
}

function flag(fallback: boolean): Check<boolean> {
  return (value, name) => {
    if (value === undefined) return fallback
    if (typeof value !== 'boolean') throw invalidArgument(`${name} must be true or false, not ${describe(value)}`)
    return value
  }
}

function between(fallback: number, min: number, max: number): Check<number> {
  return (value, name) => {
    if (value === undefined) return fallback
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw invalidArgument(`${name} must be a whole number from ${min} to ${max}, not ${describe(value)}`)
    }
    return value as number
  }
}

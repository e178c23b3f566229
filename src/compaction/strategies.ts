/** The table of strategies: a new one is a file and a row here. */
import { invalidArgument } from '../base/errors.ts'
import { createLeveled } from './leveled.ts'
import type { LeveledOptions } from './leveled.ts'
import { createTiered } from './tiered.ts'
import type { TieredOptions } from './tiered.ts'
import type { Strategy } from './strategy.ts'

export type StrategyOptions = ({ name: 'tiered' } & TieredOptions) | ({ name: 'leveled' } & LeveledOptions)

/** Omitted parameters take their defaults. Throws INVALID_ARGUMENT for a wrong name, parameter or value. */
export function createStrategy(options: StrategyOptions): Strategy {
  const { name, ...parameters } = options
  switch (name) {
    case 'tiered': return createTiered(parameters)
    case 'leveled': return createLeveled(parameters)
    default: throw invalidArgument(`compaction strategy must be 'tiered' or 'leveled', not ${JSON.stringify(name)}`)
  }
}

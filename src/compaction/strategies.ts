/** The table of strategies: a new one is a file of its own and one row here. */
import { invalidArgument } from '../base/errors.ts'
import { createLeveled } from './leveled.ts'
import type { LeveledOptions } from './leveled.ts'
import { createTiered } from './tiered.ts'
import type { TieredOptions } from './tiered.ts'
import type { Strategy } from './strategy.ts'

export type StrategyOptions = ({ name: 'tiered' } & TieredOptions) | ({ name: 'leveled' } & LeveledOptions)

/**
 * A strategy by name; parameters left out take their defaults.
 * Throws INVALID_ARGUMENT for a name, parameter or value it cannot take.
 */
export function createStrategy(options: StrategyOptions): Strategy {
  const { name, ...parameters } = options
  switch (name) {
    case 'tiered': return createTiered(parameters)
    case 'leveled': return createLeveled(parameters)
    default: throw invalidArgument(`compaction strategy must be 'tiered' or 'leveled', not ${JSON.stringify(name)}`)
  }
}

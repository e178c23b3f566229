/** Collections for more than fits into memory: `import { SpillMap } from 'spillway/collections'`. */
export { SpillMap } from './spill-map.ts'
export { SpillSet } from './spill-set.ts'
export type { SpillMapOptions, SpillRangeOptions, SpillSetOptions } from './spill-map-options.ts'
export { Budget } from '../memory/budget.ts'
export type { AccountReport, MemoryReport } from '../memory/budget.ts'
export { SpillwayError } from '../base/errors.ts'
export type { Codec, Encoding, EncodingName } from '../store/encoding.ts'

/** Options of jobs that write tables of a store. */
import type { OutputOptions } from '../../compaction/jobs.ts'
import type { StoreState } from '../state/store-state.ts'

/** Options for tables of a level, cut at `targetTableBytes`. May throw when files cannot be made. */
export type TableOutput = (level: number, targetTableBytes: number) => OutputOptions

export function tableOutput({ settings, host, health: { stop }, files: { directory, reference, nextNumber } }: StoreState, level: number, targetTableBytes: number): OutputOptions {
  const { compression, blockBytes, filterBitsPerKey, isScratch } = settings
  return {
    directoryPrefix: host.join(directory, 'x').slice(0, -1), place: reference,
    compression: compression[Math.min(level, compression.length - 1)]!,
    blockBytes, filterBitsPerKey, targetTableBytes, nextFile: nextNumber, stop, isScratch,
  }
}

export const compactionNames = ['tiered', 'leveled'] as const
export const durabilityNames = ['none', 'os', 'disk'] as const
export const formatNames = ['jsonl', 'csv', 'tsv', 'lines', 'nul'] as const
export type FormatName = typeof formatNames[number]

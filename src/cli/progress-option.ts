/** Redrawn on a terminal, plain lines elsewhere, none with --json unless requested. */
import type { Args } from './command.ts'
import { UsageError } from './errors.ts'
import type { Io } from './io.ts'
import { ProgressLine } from './progress.ts'

export function progressOf(args: Args, io: Io, label: string, unit = 'rows'): ProgressLine | undefined {
  const wanted = args.flag('progress')
  if (wanted && args.flag('no-progress')) throw new UsageError('--progress and --no-progress exclude each other')
  if (args.flag('no-progress') || (args.flag('json') && !wanted)) return undefined
  return new ProgressLine({ stream: io.stderr, label, unit })
}

/** spillway run: a program under other flags or another malloc, and what memory it took. */
import { formatSize } from '../../base/sizes.ts'
import { mallocOfChild, runProgram } from '../../host/node/run-program.ts'
import type { ProgramEnd } from '../../host/node/run-program.ts'
import { nodeRuntime } from '../../host/node/node-runtime.ts'
import { checkPreloaded, preloadEnvironment } from '../../observe/allocators.ts'
import type { PreloadName } from '../../observe/allocators.ts'
import { startSettings } from '../../observe/start-flags.ts'
import type { Command } from '../command.ts'
import { print } from '../output.ts'
import { formatDuration, textTable } from '../table.ts'

interface Plan {
  name: string
  flags: string[]
  environment: Record<string, string>
}

export const runCommand: Command = {
  name: 'run',
  summary: 'run a program with the flags and the malloc that keep its memory small',
  usage: '[--tuned] [--allocator NAME] [--compare] <program.js> [arguments]',
  details: [
    'Options of spillway stand before the program; everything after it belongs to the program. At its end the memory it took is printed on stderr: at its '
      + 'start, at its end, and at most; with --json as JSON, also on stderr. The exit code is that of the program.',
    '--compare runs the program twice, first as it is, so that both are seen. It does its work twice then.',
    'An allocator that is not installed is an error; the malloc of the system never takes its place.',
  ],
  examples: ['spillway run --tuned server.js --port 8080', 'spillway run --allocator jemalloc --compare job.js'],
  options: {
    tuned: { type: 'boolean', help: 'with the flags this version of Node needs for small memory' },
    allocator: { type: 'string', value: 'NAME', help: 'jemalloc or mimalloc (Debian: libjemalloc2, libmimalloc2.0)' },
    compare: { type: 'boolean', help: 'run it without them first' },
  },
  positionals: { min: 1, max: Infinity },
  endsOptions: true,
  stopsItself: true,

  async run(args, io) {
    const plan = planOf(args.flag('tuned'), args.choice('allocator', ['jemalloc', 'mimalloc']), io.env)
    const plain: Plan = { name: 'as it is', flags: [], environment: {} }
    const plans = args.flag('compare') ? [plain, plan] : [plan]
    const ends: { plan: Plan, end: ProgramEnd }[] = []
    for (const each of plans) {
      const end = await runProgram([...each.flags, ...args.positionals], each.environment, io.signal)
      ends.push({ plan: each, end })
      if (io.signal.aborted) break
    }
    const text = args.flag('json') ? `${JSON.stringify(ends.map(({ plan: { name, flags, environment }, end }) => ({ name, flags, environment, ...end })))}\n` : summary(ends)
    await print(io.stderr, text)
    return ends.at(-1)!.end.exitCode
  },
}

function planOf(isTuned: boolean, allocator: PreloadName | undefined, env: Record<string, string | undefined>): Plan {
  const flags: string[] = []
  const environment: Record<string, string> = {}
  let malloc = nodeRuntime.malloc().name
  if (allocator !== undefined) {
    Object.assign(environment, preloadEnvironment(allocator, env['LD_PRELOAD']))
    checkPreloaded(allocator, mallocOfChild(environment), environment['LD_PRELOAD']!.split(':')[0]!)
    malloc = allocator
  }
  if (isTuned) {
    for (const { action: { type, how } } of startSettings(nodeRuntime.nodeMajor, malloc)) {
      const at = how.indexOf('=')
      if (type === 'flag') flags.push(how)
      else environment[how.slice(0, at)] = how.slice(at + 1)
    }
  }
  const names = [...flags, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)]
  return { name: names.length === 0 ? 'as it is' : names.join(' '), flags, environment }
}

function summary(ends: readonly { plan: Plan, end: ProgramEnd }[]): string {
  const size = (bytes: number | undefined): string => bytes === undefined ? 'unknown' : formatSize(bytes)
  const right = 'right' as const
  return `\n${textTable(
    [{ title: 'memory (RSS)' }, { title: 'start', align: right }, { title: 'end', align: right }, { title: 'peak', align: right }, { title: 'time', align: right }],
    ends.map(({ plan, end: { memory, elapsedMs } }) => [plan.name, size(memory?.firstRssBytes), size(memory?.lastRssBytes), size(memory?.peakRssBytes), formatDuration(elapsedMs / 1000)]),
  ).join('\n')}\n`
}

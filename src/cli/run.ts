/** One run of the command line: from arguments to an exit code. */
import { readFileSync } from 'node:fs'
import { parseCommand } from './command.ts'
import type { Command } from './command.ts'
import { compactCommand } from './commands/compact.ts'
import { countCommand } from './commands/count.ts'
import { delCommand } from './commands/del.ts'
import { dumpCommand } from './commands/dump.ts'
import { exportCommand } from './commands/export.ts'
import { getCommand } from './commands/get.ts'
import { importCommand } from './commands/import.ts'
import { putCommand } from './commands/put.ts'
import { runCommand } from './commands/run-program.ts'
import { scanCommand } from './commands/scan.ts'
import { statsCommand } from './commands/stats.ts'
import { verifyCommand } from './commands/verify.ts'
import { UsageError } from './errors.ts'
import { errorLine, errorObject, EXIT, exitCodeOf } from './exit.ts'
import { commandHelp, generalHelp } from './help.ts'
import type { Io } from './io.ts'
import { isBrokenPipe, print } from './output.ts'

export const commands: readonly Command[] = [
  importCommand, exportCommand, getCommand, putCommand, delCommand, scanCommand, countCommand, statsCommand, verifyCommand, compactCommand, dumpCommand,
  runCommand,
]

/** `argv`: what follows the program's name. Never throws. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io)
  } catch (error) {
    // The reader of the output went away: it has what it wanted.
    if (isBrokenPipe(error)) return EXIT.ok
    const text = argv.includes('--json') ? JSON.stringify(errorObject(error)) : `spillway: ${errorLine(error)}`
    const hint = error instanceof UsageError && !argv.includes('--json') ? `\n${hintFor(argv[0])}` : ''
    const stack = io.env['SPILLWAY_DEBUG'] && error instanceof Error ? `\n${error.stack}` : ''
    await print(io.stderr, `${text}${hint}${stack}\n`).catch(() => {})
    return exitCodeOf(error)
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined) {
    await print(io.stderr, generalHelp(commands))
    return EXIT.usage
  }
  if (name === '--version' || name === '-V') {
    await print(io.stdout, `${version()}\n`)
    return EXIT.ok
  }
  if (name === 'help' || name === '--help' || name === '-h') {
    const topic = rest[0]
    await print(io.stdout, topic === undefined ? generalHelp(commands) : commandHelp(find(topic)))
    return EXIT.ok
  }
  const command = find(name)
  const args = parseCommand(command, rest)
  if (args.flag('help')) {
    await print(io.stdout, commandHelp(command))
    return EXIT.ok
  }
  if (command.stopsItself !== true) io.signal.addEventListener('abort', () => io.exit(Number(io.signal.reason)), { once: true })
  return command.run(args, io)
}

function find(name: string): Command {
  const command = commands.find(candidate => candidate.name === name)
  if (command === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}`)
  return command
}

function hintFor(name: string | undefined): string {
  const known = commands.some(command => command.name === name)
  return known ? `See "spillway help ${name}".` : 'See "spillway help".'
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

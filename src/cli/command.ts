/** What a command is, and its arguments once parsed. */
import { parseArgs } from 'node:util'
import { SpillwayError } from '../base/errors.ts'
import { nearName } from '../base/option-names.ts'
import { parseSize } from '../base/sizes.ts'
import { decodeBase64, isDamaged, unescapeBytes } from './escape.ts'
import { UsageError } from './errors.ts'
import type { Io } from './io.ts'
import { compactionNames } from './names.ts'

export interface OptionSpec {
  type: 'string' | 'boolean'
  short?: string
  /** What the value is, for help: "SIZE". */
  value?: string
  help: string
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

export interface Command {
  name: string
  /** One line. */
  summary: string
  /** After "spillway <name>". */
  usage: string
  /** Paragraphs of the command's own help. */
  details?: readonly string[]
  examples?: readonly string[]
  options: OptionSpecs
  /** How many positional arguments, the directory included. */
  positionals: { min: number, max: number }
  /** Looks at the signal by itself and stops cleanly. Otherwise the process ends when it comes. Default false. */
  stopsItself?: boolean
  /** What follows the first positional is not looked at: it belongs to the program that the command starts. Default false. */
  endsOptions?: boolean
  run(args: Args, io: Io): Promise<number>
}

/** Options of every command. */
export const COMMON_OPTIONS: OptionSpecs = {
  budget: { type: 'string', value: 'SIZE', help: 'memory the store may use, e.g. "64 MiB" (default: a quarter of what there is, at most 64 MiB to read)' },
  json: { type: 'boolean', help: 'results on stdout, and an error on stderr, as JSON' },
  help: { type: 'boolean', short: 'h', help: 'this help' },
}

/** How keys (and for put the value) are written on the command line. */
export const BYTES_OPTIONS: OptionSpecs = {
  hex: { type: 'boolean', help: 'keys and values on the command line are hexadecimal' },
  base64: { type: 'boolean', help: '... are base64' },
  escaped: { type: 'boolean', help: '... have \\xNN for a byte and \\\\ for a backslash, as scan and get print them' },
}

/** Which keys. */
export const RANGE_OPTIONS: OptionSpecs = {
  gte: { type: 'string', value: 'KEY', help: 'from this key on' },
  gt: { type: 'string', value: 'KEY', help: 'after this key' },
  lte: { type: 'string', value: 'KEY', help: 'up to and including this key' },
  lt: { type: 'string', value: 'KEY', help: 'up to before this key' },
  prefix: { type: 'string', value: 'TEXT', help: 'keys that begin so' },
  ...BYTES_OPTIONS,
}

export const PROGRESS_OPTIONS: OptionSpecs = {
  progress: { type: 'boolean', help: 'a progress line on stderr, whatever it is connected to' },
  'no-progress': { type: 'boolean', help: 'no progress line' },
}

/** The arguments of one run of a command. Every getter throws UsageError for a value it cannot take. */
export class Args {
  readonly positionals: readonly string[]
  readonly #values: Record<string, string | boolean | undefined>

  constructor(positionals: readonly string[], values: Record<string, string | boolean | undefined>) {
    this.positionals = positionals
    this.#values = values
  }

  /** The store's directory. */
  get directory(): string { return this.positionals[0]! }

  flag(name: string): boolean { return this.#values[name] === true }

  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  size(name: string): number | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : asUsage(() => parseSize(text, `--${name}`))
  }

  count(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${JSON.stringify(text)}`)
    return Number(text)
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!(choices as readonly string[]).includes(text)) {
      throw new UsageError(`--${name} must be ${orList(choices)}, not ${JSON.stringify(text)}`)
    }
    return text as T
  }

  /** Bytes of a key or value given on the command line, as --hex, --base64 or --escaped say; else text. */
  bytes(text: string): Buffer {
    const forms = ['hex', 'base64', 'escaped'].filter(form => this.flag(form))
    if (forms.length > 1) throw new UsageError(`--${forms[0]} and --${forms[1]} exclude each other`)
    if (this.flag('escaped')) return unescapeBytes(text)
    if (this.flag('hex')) {
      if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new UsageError(`--hex: ${JSON.stringify(text)} is not pairs of hexadecimal digits`)
      return Buffer.from(text, 'hex')
    }
    if (this.flag('base64')) return decodeBase64(text) ?? refuse(`--base64: ${JSON.stringify(text)} is not base64`)
    if (isDamaged(text)) {
      throw new UsageError(`${JSON.stringify(text)} has bytes that are no UTF-8, or the character U+FFFD that stands for them, `
        + 'and different bytes would be the same key. Write them as \\xNN with --escaped, or give --hex')
    }
    return Buffer.from(text, 'utf8')
  }
}

/** Parse what follows a command's name. Throws UsageError. */
export function parseCommand(command: Command, argv: readonly string[]): Args {
  const options: Record<string, { type: 'string' | 'boolean', short?: string }> = {}
  for (const [name, { type, short }] of Object.entries({ ...command.options, ...COMMON_OPTIONS })) {
    options[name] = short === undefined ? { type } : { type, short }
  }
  let parsed
  try {
    parsed = parseArgs({ args: command.endsOptions === true ? endedOptions(argv, options) : [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(withNearOption((error as Error).message, Object.keys(options)))
  }
  const args = new Args(parsed.positionals, parsed.values)
  if (args.flag('help')) return args
  const { min, max } = command.positionals
  const given = parsed.positionals.length
  if (given === 0) throw new UsageError(command.usage.startsWith('<dir>') ? "the store's directory is missing" : `missing: ${command.usage}`)
  if (given < min) throw new UsageError(`too few arguments: spillway ${command.name} ${command.usage}`)
  if (given > max) throw new UsageError(`too many arguments: spillway ${command.name} ${command.usage}`)
  args.size('budget')
  args.choice('compaction', compactionNames)
  return args
}

/** With "--" before the first argument that is neither an option nor the value of one. */
function endedOptions(argv: readonly string[], options: Record<string, { type: 'string' | 'boolean', short?: string }>): string[] {
  let at = 0
  while (at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '--') at += options[argv[at]!.slice(2)]?.type === 'string' ? 2 : 1
  return argv[at] === '--' || at >= argv.length ? [...argv] : [...argv.slice(0, at), '--', ...argv.slice(at)]
}

export function orList(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
}

/** Node's message about an option that there is not, with the one that was most likely meant. */
function withNearOption(message: string, known: readonly string[]): string {
  const given = /^Unknown option '--([\w-]+)'/.exec(message)?.[1]
  if (given === undefined) return message
  const near = nearName(given, known)
  return `there is no option --${given}${near === undefined ? '' : `. Did you mean --${near}?`}`
}

function refuse(message: string): never {
  throw new UsageError(message)
}

function asUsage<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof SpillwayError) throw new UsageError(error.message)
    throw error
  }
}

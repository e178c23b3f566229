import { BYTES_OPTIONS, COMMON_OPTIONS } from './command.ts'
import type { Command, OptionSpecs } from './command.ts'
import { textPairs } from './table.ts'

const COLUMNS = 100

export function generalHelp(commands: readonly Command[]): string {
  return text([
    'spillway: a key-value store on disk, all its memory inside one budget.',
    '',
    'Usage: spillway <command> <dir> [arguments] [--budget SIZE] [--json]',
    '',
    'Commands',
    ...indented(textPairs([...commands.map(({ name, summary }) => [name, summary] as const), ['help', 'this text, or "spillway help <command>"']])),
    '',
    'Options of every command',
    ...optionLines(COMMON_OPTIONS),
    '  --version  the version',
    '',
    'Keys on the command line are text, or',
    ...optionLines(BYTES_OPTIONS),
    'A key that begins with a dash goes after "--".',
    '',
    'Exit codes',
    ...indented(textPairs([
      ['0', 'ok'],
      ['1', 'failed: damage found, key not found, or the command could not complete'],
      ['2', 'wrong usage'],
      ['3', 'the store is open in another process'],
      ['130', 'interrupted by Ctrl-C (143: asked to terminate); writes so far are kept'],
    ])),
    '',
    'SPILLWAY_DEBUG=1 adds stack traces to errors.',
  ])
}

export function commandHelp(command: Command): string {
  const lines = [`spillway ${command.name}: ${command.summary}`, '', `Usage: spillway ${command.name} ${command.usage} [options]`]
  for (const paragraph of command.details ?? []) lines.push('', ...wrapped(paragraph))
  lines.push('', 'Options', ...optionLines({ ...command.options, ...COMMON_OPTIONS }))
  if (command.examples !== undefined) lines.push('', 'Examples', ...indented(command.examples))
  return text(lines)
}

function optionLines(options: OptionSpecs): string[] {
  return indented(textPairs(Object.entries(options).map(([name, { short, value, help }]) => [
    `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`, help,
  ] as const)))
}

function wrapped(paragraph: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function indented(lines: readonly string[]): string[] {
  return lines.map(line => `  ${line}`)
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}

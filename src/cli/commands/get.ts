import { BYTES_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { CommandError } from '../errors.ts'
import { escapeBytes } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { jsonObject } from '../formats/jsonl-writer.ts'
import { Output, print, printJson } from '../output.ts'
import { readStore } from '../with-store.ts'

export const getCommand: Command = {
  name: 'get',
  summary: 'print the value of a key',
  usage: '<dir> <key>',
  details: ['Bytes that are not printable text are shown as \\xNN, a backslash is doubled; --raw writes the exact bytes. Exit code 1 if there is no such key.'],
  examples: ['spillway get ./data city:paris', 'spillway get ./data photo --raw > photo.jpg'],
  options: {
    raw: { type: 'boolean', help: 'the exact bytes, without a newline after them' },
    ...BYTES_OPTIONS,
  },
  positionals: { min: 2, max: 2 },

  async run(args, io) {
    const key = args.bytes(args.positionals[1]!)
    const value = await readStore(args, io, store => store.get(key))
    if (value === undefined) {
      throw new CommandError('NOT_FOUND', `no key "${escapeBytes(key)}" in ${args.directory}`, jsonObject(key))
    }
    if (args.flag('json')) await printJson(io.stdout, jsonObject(key, value))
    else if (args.flag('raw')) {
      const output = new Output(io.stdout)
      output.add(value)
      await output.finish()
    } else await print(io.stdout, `${escapeBytes(value, { keepLines: true })}\n`)
    return EXIT.ok
  },
}

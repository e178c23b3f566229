import { RANGE_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'
import { print, printJson } from '../output.ts'
import { rangeOf } from '../range.ts'
import { readStore } from '../with-store.ts'

export const countCommand: Command = {
  name: 'count',
  summary: 'count keys',
  usage: '<dir>',
  details: ['Exact: reads every key of the range.'],
  examples: ['spillway count ./data --prefix user:'],
  options: RANGE_OPTIONS,
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    const range = rangeOf(args)
    const count = await readStore(args, io, store => store.count(range))
    if (args.flag('json')) await printJson(io.stdout, { count })
    else await print(io.stdout, `${count}\n`)
    return EXIT.ok
  },
}

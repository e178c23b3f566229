import type { BatchOperation } from '../../store/api/options.ts'
import { RANGE_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { UsageError } from '../errors.ts'
import { EXIT } from '../exit.ts'
import { durabilityNames } from '../names.ts'
import { print, printJson } from '../output.ts'
import { rangeOf } from '../range.ts'
import { countOf } from '../table.ts'
import { withStore } from '../with-store.ts'

const BATCH_OPERATIONS = 1000

export const delCommand: Command = {
  name: 'del',
  summary: 'delete keys, or a range of keys',
  usage: '<dir> <key ...> | <dir> --range (--gte KEY --lt KEY | --prefix TEXT) --yes',
  details: ['Deleting a missing key is no error. A range needs at least one bound; without --yes the command only reports the number of keys.'],
  examples: ['spillway del ./data city:paris', 'spillway del ./data --range --prefix session: --yes'],
  options: {
    range: { type: 'boolean', help: 'delete all keys between the bounds' },
    yes: { type: 'boolean', help: 'confirm the deletion of a range' },
    durability: { type: 'string', value: 'LEVEL', help: 'none, os (default) or disk' },
    ...RANGE_OPTIONS,
  },
  positionals: { min: 1, max: Infinity },

  async run(args, io) {
    const keys = args.positionals.slice(1).map(key => args.bytes(key))
    const durability = args.choice('durability', durabilityNames)
    const range = rangeOf(args)
    const hasBounds = range.gte !== undefined || range.lt !== undefined
    const open = durability === undefined ? {} : { durability }
    if (args.flag('range')) {
      if (keys.length > 0) throw new UsageError('--range deletes the keys between bounds: give bounds or keys, not both')
      if (!hasBounds) throw new UsageError('--range needs a bound, such as --prefix. To delete everything, remove the directory')
      const count = await withStore(args, io, false, async store => {
        const found = await store.count(range)
        if (args.flag('yes')) await store.deleteRange(range)
        return found
      }, open)
      if (!args.flag('yes')) throw new UsageError(`this would delete ${countOf(count, 'key')}: add --yes to do it`)
      if (args.flag('json')) await printJson(io.stdout, { deleted: count })
      else await print(io.stdout, `Deleted ${countOf(count, 'key')}.\n`)
      return EXIT.ok
    }
    if (hasBounds) throw new UsageError('bounds need --range')
    if (keys.length === 0) throw new UsageError('no key given')
    await withStore(args, io, false, async store => {
      for (let from = 0; from < keys.length; from += BATCH_OPERATIONS) {
        const operations = keys.slice(from, from + BATCH_OPERATIONS).map<BatchOperation<Uint8Array, Uint8Array>>(key => ({ type: 'del', key }))
        await store.batch(operations)
      }
    }, open)
    if (args.flag('json')) await printJson(io.stdout, { deletesWritten: keys.length })
    return EXIT.ok
  },
}

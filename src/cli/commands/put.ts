import { formatSize } from '../../base/sizes.ts'
import { BYTES_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { CommandError } from '../errors.ts'
import { EXIT } from '../exit.ts'
import { MAX_RECORD_BYTES } from '../formats/record.ts'
import { readAll } from '../input.ts'
import { durabilityNames } from '../names.ts'
import { printJson } from '../output.ts'
import { withStore } from '../with-store.ts'

export const putCommand: Command = {
  name: 'put',
  summary: 'store a value under a key',
  usage: '<dir> <key> <value | ->',
  details: ['With "-" the value is read from stdin, byte for byte. Creates the store if the directory has none.'],
  examples: ['spillway put ./data city:paris Paris', 'spillway put ./data photo - < photo.jpg'],
  options: {
    durability: { type: 'string', value: 'LEVEL', help: 'none, os (default) or disk' },
    'max-record': { type: 'string', value: 'SIZE', help: 'maximum size of a value from stdin (default 16 MiB)' },
    ...BYTES_OPTIONS,
  },
  positionals: { min: 3, max: 3 },

  async run(args, io) {
    const [, keyText, valueText] = args.positionals as [string, string, string]
    const key = args.bytes(keyText)
    const durability = args.choice('durability', durabilityNames)
    let value = args.bytes(valueText === '-' ? '' : valueText)
    if (valueText === '-') {
      const maxBytes = args.size('max-record') ?? MAX_RECORD_BYTES
      const read = await readAll(io.stdin, maxBytes)
      if (read === undefined) {
        throw new CommandError('TOO_LONG', `stdin has more than ${formatSize(maxBytes)}, the limit of a value. --max-record raises it`)
      }
      value = read
    }
    await withStore(args, io, true, store => store.put(key, value, durability === undefined ? {} : { durability }))
    if (args.flag('json')) await printJson(io.stdout, { keyBytes: key.length, valueBytes: value.length })
    return EXIT.ok
  },
}

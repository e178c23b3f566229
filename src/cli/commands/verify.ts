/** spillway verify: read every file of the store and check it. */
import { formatSize } from '../../base/sizes.ts'
import type { Command } from '../command.ts'
import { escapeText } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { print, printJson } from '../output.ts'
import { countOf } from '../table.ts'
import { readStore } from '../with-store.ts'

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'check every file of the store',
  usage: '<dir>',
  details: ['Reads the manifest, the log, all tables and value files and checks every checksum. Exit code 1 if anything is damaged; each damaged file is named with the offset.'],
  options: {},
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    const report = await readStore(args, io, store => store.verify())
    const damaged = report.errors.length > 0
    if (args.flag('json')) await printJson(io.stdout, { ok: !damaged, ...report })
    else {
      const lines = report.errors.map(({ file, offset, message }) => {
        const where = offset === undefined ? file : `${file} at offset ${offset}`
        // The store's own messages begin with the place already.
        return escapeText(message.startsWith(file) ? message : `${where}: ${message}`)
      })
      lines.push(`${damaged ? `DAMAGED: ${countOf(report.errors.length, 'file')}` : 'All is well'}. Checked ${countOf(report.manifests, 'manifest')}, `
        + `${countOf(report.logs, 'log segment')}, ${countOf(report.tables, 'table')}, `
        + `${countOf(report.entries, 'entry', 'entries')}, ${countOf(report.valueFiles, 'value file')}, ${formatSize(report.bytes)}.`)
      await print(io.stdout, `${lines.join('\n')}\n`)
    }
    return damaged ? EXIT.failed : EXIT.ok
  },
}

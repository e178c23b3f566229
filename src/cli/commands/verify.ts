import { formatSize } from '../../base/sizes.ts'
import type { VerifyReport } from '../../store/api/reports.ts'
import type { Command } from '../command.ts'
import { escapeText } from '../escape.ts'
import { EXIT } from '../exit.ts'
import { print, printJson } from '../output.ts'
import { countOf } from '../table.ts'
import { readingBudgetBytes, requireStore } from '../with-store.ts'

/** --json has all. */
const MAX_NOTES = 20

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'check every file of the store',
  usage: '<dir>',
  details: [
    'Reads the manifests, the log, all tables and value files and checks every checksum, also of a damaged store: the store is not opened, and nothing is changed. '
    + 'Exit code 1 if anything is damaged or missing; each damaged place is reported with file and offset. Leftovers of a crash are not damage; they are listed as notes.',
  ],
  options: {},
  positionals: { min: 1, max: 1 },

  async run(args, io) {
    requireStore(args.directory, ['manifest', 'table', 'log', 'value'])
    const report = await io.verify(args.directory, args.size('budget') ?? readingBudgetBytes())
    const damaged = report.errors.length > 0
    if (args.flag('json')) await printJson(io.stdout, { ok: !damaged, ...report })
    else await print(io.stdout, `${linesOf(report).join('\n')}\n`)
    return damaged ? EXIT.failed : EXIT.ok
  },
}

function linesOf(report: VerifyReport): string[] {
  const { errors, notes } = report
  const lines = errors.map(({ file, offset, message }) => {
    const where = offset === undefined ? file : `${file} at offset ${offset}`
    return escapeText(message.startsWith(file) ? message : `${where}: ${message}`)
  })
  for (const { file, message } of notes.slice(0, MAX_NOTES)) lines.push(escapeText(`Note: ${file}: ${message}`))
  if (notes.length > MAX_NOTES) lines.push(`Note: and ${notes.length - MAX_NOTES} more; --json lists all`)
  const files = new Set(errors.map(({ file }) => file)).size
  lines.push(`${files > 0 ? `DAMAGED: ${countOf(files, 'file')}` : 'No damage found'}. Checked ${countOf(report.manifests, 'manifest')}, `
    + `${countOf(report.logs, 'log segment')}, ${countOf(report.tables, 'table')}, ${countOf(report.valueFiles, 'value file')}, `
    + `${formatSize(report.bytes)}: ${countOf(report.sound, 'file')} whole, with ${countOf(report.entries, 'entry', 'entries')} in tables, `
    + `${countOf(report.blocks, 'block')}, ${countOf(report.operations, 'operation')} in the log.`)
  return lines
}

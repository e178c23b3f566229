// The table at the end, and what stands under it.
import { MIB, mib } from './plan.mjs'

const COLUMNS = [
  ['case', row => row.case, 'left'],
  ['store', row => row.subject, 'left'],
  ['budget', row => String(row.budgetBytes / MIB)],
  ['peak', row => size(row.peakBytes)],
  ['no-op', row => size(row.baselineBytes)],
  ['excess', row => size(row.excessBytes)],
  ['bar', row => size(row.barBytes)],
  ['excess/budget', row => row.excessBytes === undefined ? '-' : (row.excessBytes / row.budgetBytes).toFixed(2)],
  ['ledger peak', row => size(row.ledgerPeakBytes)],
  ['verdict', row => row.verdict, 'left'],
  ['seconds', row => row.seconds === undefined ? '-' : row.seconds.toFixed(1)],
]

/** All sizes in MiB. */
export function formatTable(rows) {
  const lines = [COLUMNS.map(([title]) => title), ...rows.map(row => COLUMNS.map(([, text]) => text(row)))]
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const pad = (cell, column) => COLUMNS[column][2] === 'left' ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
  const text = lines.map(line => line.map(pad).join('  ').trimEnd())
  text.splice(1, 0, widths.map(width => '-'.repeat(width)).join('  '))
  return text.join('\n')
}

/** One line for one run, while the others go on. */
export function formatRow(row) {
  const parts = [`${row.case}, ${row.subject}, ${row.budgetBytes / MIB} MiB: ${row.verdict}`]
  if (row.peakBytes !== undefined) parts.push(`peak ${mib(row.peakBytes)}`)
  if (row.excessBytes !== undefined) parts.push(`excess ${mib(row.excessBytes)}`)
  if (row.seconds !== undefined) parts.push(`${row.seconds.toFixed(1)} s`)
  const figures = Object.entries(row.report ?? {}).filter(([name, value]) => name !== 'broken' && value !== undefined)
  const text = ([name, value]) => name.endsWith('Bytes') ? `${name.replace(/Bytes$/, ' MiB')} ${mib(value)}` : `${name} ${value}`
  if (figures.length > 0) parts.push(figures.map(text).join(', '))
  return parts.join('; ')
}

/** What broke, and what the process held when its RSS was largest. */
export function formatBroken(row) {
  const lines = [`${row.case}, ${row.budgetBytes / MIB} MiB:`, ...row.broken.map(why => `  ${why}`)]
  const at = row.atPeak
  if (row.excessBytes > row.barBytes && at?.rss > 0) {
    lines.push(`  at its peak, MiB: ${composition(at)}, ledger ${mib(at.usedBytes)}`)
    if (row.baselineAtPeak?.rss > 0) lines.push(`  the program without a store: ${composition(row.baselineAtPeak)}`)
    lines.push(`  ledger, MiB: ${Object.entries(at.accounts).map(([name, bytes]) => `${name} ${mib(bytes)}`).join(', ')}`)
  }
  return lines.join('\n')
}

function composition(at) {
  const heap = `heap used ${mib(at.heapUsed)} of ${mib(at.heapTotal)} (young ${mib(at.youngBytes)})`
  return `rss ${mib(at.rss)}, ${heap}, external ${mib(at.external)}, of it array buffers ${mib(at.arrayBuffers)}`
}

function size(bytes) {
  return bytes === undefined ? '-' : mib(bytes)
}

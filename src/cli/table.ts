import { textWidth } from './escape.ts'

export interface TableColumn {
  title: string
  /** Default 'left'. */
  align?: 'left' | 'right'
}

/** Columns are two spaces apart. */
export function textTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, i) => {
    let width = textWidth(column.title)
    for (const row of rows) width = Math.max(width, textWidth(row[i] ?? ''))
    return width
  })
  const line = (cells: readonly string[]): string => columns.map((column, i) => {
    const cell = cells[i] ?? ''
    const gap = ' '.repeat(widths[i]! - textWidth(cell))
    return column.align === 'right' ? gap + cell : cell + gap
  }).join('  ').trimEnd()
  return [line(columns.map(column => column.title)), ...rows.map(line)]
}

/** "Name:   value", values aligned. */
export function textPairs(pairs: readonly (readonly [string, string])[]): string[] {
  let width = 0
  for (const [name] of pairs) width = Math.max(width, name.length)
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd())
}

/** `fraction` (0 to 1) of `width` characters, dashes up to `peak`. Above zero at least one. */
export function textBar(fraction: number, width: number, peak = 0): string {
  const filled = columnsOf(fraction, width)
  const marked = Math.max(0, columnsOf(peak, width) - filled)
  return '#'.repeat(filled) + '-'.repeat(marked) + '.'.repeat(width - filled - marked)
}

function columnsOf(fraction: number, width: number): number {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0))
  return bounded > 0 ? Math.max(1, Math.round(bounded * width)) : 0
}

/** 1234567 as "1,234,567". */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** "1 row", "2,000 rows". */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${Math.round(count) === 1 ? noun : plural}`
}

/** Decimal units, as of disks: "12.3 MB". */
export function formatDecimalSize(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`
  const names = ['kB', 'MB', 'GB', 'TB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.95 && unit < names.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(1)} ${names[unit]}`
}

/** "0.4 s", "1:05" or "2:03:04". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-'
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const two = (part: number): string => String(part).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Byte sizes as text. Binary units; "MB" is decimal. */
import { invalidArgument } from './errors.ts'

const UNITS: Record<string, number> = {
  '': 1, b: 1,
  k: 1024, kib: 1024, m: 1024 ** 2, mib: 1024 ** 2, g: 1024 ** 3, gib: 1024 ** 3, t: 1024 ** 4, tib: 1024 ** 4,
  kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12,
}

/** Parses "64 MiB", "1.5 GiB", "500 kB". Throws INVALID_ARGUMENT. */
export function parseSize(size: number | string, name: string): number {
  if (typeof size === 'number') {
    if (Number.isSafeInteger(size) && size >= 0) return size
  } else if (typeof size === 'string') {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(size)
    const unit = match && UNITS[match[2]!.toLowerCase()]
    if (match && unit !== undefined && unit !== null) {
      const bytes = Math.round(Number(match[1]) * unit)
      if (Number.isSafeInteger(bytes)) return bytes
    }
  }
  const given = typeof size === 'string' ? JSON.stringify(size) : String(size)
  throw invalidArgument(`${name} must be a size such as "64 MiB" or a number of bytes, not ${given}`)
}

/** "3.4 MiB". Whole bytes below 1 KiB. */
export function formatSize(bytes: number): string {
  if (Math.abs(bytes) < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  const names = ['KiB', 'MiB', 'GiB', 'TiB']
  // 1024 of a unit are shown as one of the next.
  while (Math.abs(value) >= 1023.5 && unit < names.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(value >= 100 ? 0 : 1)} ${names[unit]}`
}

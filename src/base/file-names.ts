/** Names of a store's files. All kinds share one number space. */

export type FileKind = 'manifest' | 'table' | 'log' | 'value' | 'temporary' | 'lock' | 'hidden' | 'foreign'

export interface FileName {
  kind: FileKind
  number: number
}

function padded(number: number): string {
  return String(number).padStart(8, '0')
}

export function manifestName(number: number): string { return `manifest-${padded(number)}` }
export function tableName(number: number): string { return `${padded(number)}.table` }
export function logName(number: number): string { return `${padded(number)}.log` }
export function valueName(number: number): string { return `${padded(number)}.value` }

/** Only one spelling of a number counts, so that no two names are the same file. */
export function parseName(name: string): FileName {
  if (/^LOCK(?:-[0-9a-z.]+)?$/.test(name)) return { kind: 'lock', number: 0 }
  // FUSE and NFS rename a file that is removed while open; it goes by itself.
  if (name.startsWith('.fuse_hidden') || name.startsWith('.nfs')) return { kind: 'hidden', number: 0 }
  if (name.startsWith('tmp-')) return { kind: 'temporary', number: 0 }
  const match = /^(?:manifest-(\d{8,15})|(\d{8,15})\.(table|log|value))$/.exec(name)
  if (match === null) return { kind: 'foreign', number: 0 }
  const digits = match[1] ?? match[2]!
  const number = Number(digits)
  if (padded(number) !== digits) return { kind: 'foreign', number: 0 }
  return { kind: match[1] === undefined ? match[3] as FileKind : 'manifest', number }
}

/** Its number; 0: none. */
export function newestManifest(names: readonly string[]): number {
  let newest = 0
  for (const name of names) {
    const { kind, number } = parseName(name)
    if (kind === 'manifest' && number > newest) newest = number
  }
  return newest
}

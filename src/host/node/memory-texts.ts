/** Parses the systems' texts about memory. Pure functions: a text in, a number out; undefined: the text is absent or does not say. */

/** /proc/meminfo: share of memory that is not available. Kernels before 3.14 have no MemAvailable. */
export function meminfoPressure(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const total = /^MemTotal:\s+(\d+) kB$/m.exec(text)
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(text)
  if (total === null || available === null) return undefined
  return shareUsed(Number(available[1]), Number(total[1]))
}

/** Pressure stall information (/proc/pressure/memory, memory.pressure): share of the last 10 s in which a task waited for memory. */
export function stallPressure(text: string | undefined): number | undefined {
  const match = text === undefined ? null : /^some avg10=(\d+(?:\.\d+)?) /m.exec(text)
  return match === null ? undefined : Number(match[1]) / 100
}

/** A cgroup's limit in bytes (memory.max, memory.limit_in_bytes). Infinity: none; version 2 says "max", version 1 a number near 2^63. */
export function cgroupLimit(text: string | undefined): number | undefined {
  const trimmed = text?.trim()
  if (trimmed === 'max') return Infinity
  const bytes = wholeNumber(trimmed)
  return bytes !== undefined && bytes > Number.MAX_SAFE_INTEGER ? Infinity : bytes
}

/** A cgroup's usage in bytes (memory.current, memory.usage_in_bytes). */
export function cgroupUsage(text: string | undefined): number | undefined {
  return wholeNumber(text?.trim())
}

/**
 * File pages in a cgroup's usage (memory.stat), in bytes, without shared memory and tmpfs. `prefix` is 'total_' in version 1, whose
 * plain numbers exclude subgroups.
 */
export function cgroupFilePages(text: string | undefined, prefix: '' | 'total_'): number | undefined {
  if (text === undefined) return undefined
  let bytes = 0
  for (const name of ['active_file', 'inactive_file']) {
    const match = new RegExp(`^${prefix}${name} (\\d+)$`, 'm').exec(text)
    if (match === null) return undefined
    bytes += Number(match[1])
  }
  return bytes
}

/**
 * Share of a cgroup's limit in use. File pages do not count, as in MemAvailable: the kernel drops them first, and a store's file
 * reads and writes fill any group with them. Where they are unknown all usage counts. A limit of 0 is full.
 */
export function cgroupPressure(
  limit: number | undefined, usage: number | undefined, filePages: number | undefined,
): number | undefined {
  if (limit === undefined || usage === undefined) return undefined
  if (limit === 0) return 1
  return Math.min(1, Math.max(0, usage - (filePages ?? 0)) / limit)
}

/** macOS `vm_stat`: share of memory that is neither free nor inactive (speculative pages are free). */
export function vmStatPressure(text: string | undefined, totalBytes: number): number | undefined {
  if (text === undefined) return undefined
  const page = /page size of (\d+) bytes/.exec(text)
  if (page === null) return undefined
  let pages = 0
  for (const name of ['free', 'inactive', 'speculative']) {
    const match = new RegExp(`^Pages ${name}:\\s+(\\d+)\\.$`, 'm').exec(text)
    if (match === null) return undefined
    pages += Number(match[1])
  }
  return shareUsed(pages * Number(page[1]), totalBytes)
}

/** Undefined unless total > 0. */
export function shareUsed(free: number, total: number): number | undefined {
  if (!(total > 0 && free >= 0)) return undefined
  return Math.max(0, 1 - free / total)
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/**
 * The memory this process may use, and the boot of the machine.
 *
 * Memory is the smallest of the machine's memory, Node's constraint, and every cgroup limit from this process's group to the root
 * (version 2 `memory.max`, version 1 `memory.limit_in_bytes`). Unreadable values do not count.
 */
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'

export type ReadText = (path: string) => string | undefined

export function memoryLimitBytes(): number {
  let limit = totalmem()
  const constrained = process.constrainedMemory?.() ?? 0
  if (constrained > 0 && constrained < limit) limit = constrained
  return Math.min(limit, cgroupLimitBytes(readText))
}

/** The tightest cgroup limit; Infinity: none. `read` returns undefined for unreadable files. */
export function cgroupLimitBytes(read: ReadText): number {
  let limit = Infinity
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    // hierarchy:controllers:path; version 2 is "0::path"
    const match = /^\d+:([^:]*):(.*)$/.exec(line)
    if (match === null) continue
    const controllers = match[1]!
    if (controllers === '') limit = Math.min(limit, walkUp(read, '/sys/fs/cgroup', match[2]!, 'memory.max'))
    else if (controllers.split(',').includes('memory')) {
      limit = Math.min(limit, walkUp(read, '/sys/fs/cgroup/memory', match[2]!, 'memory.limit_in_bytes'))
    }
  }
  return limit
}

function walkUp(read: ReadText, mount: string, group: string, file: string): number {
  let limit = Infinity
  const parts = group.split('/').filter(part => part !== '' && part !== '..')
  for (let depth = parts.length; depth >= 0; depth--) {
    const text = read([mount, ...parts.slice(0, depth), file].join('/'))?.trim()
    // "max" is no limit; version 1 writes a number near 2^63.
    if (text !== undefined && /^\d+$/.test(text) && Number(text) > 0) limit = Math.min(limit, Number(text))
  }
  return limit
}

/** Changes with every boot; '' on platforms without one. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
}

function readText(path: string): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

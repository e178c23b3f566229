/**
 * Memory files of this process's control groups: its own and all above it, whose limits bind too. Versions 1 and 2, also side by
 * side.
 *
 * Cost: finding them reads /proc/self/cgroup and tries two files a level; later only existing files are read.
 */
import type { ReadText } from './limits.ts'
import { cgroupFilePages, cgroupLimit, cgroupPressure, cgroupUsage } from './memory-texts.ts'

interface Level {
  limit: string
  usage: string
  stat: string
  statPrefix: '' | 'total_'
}

export interface CgroupFiles {
  /** Groups that can have a limit. */
  levels: readonly Level[]
  /** Pressure stall information of the nearest group that has it. */
  stalls: string | undefined
}

/** Version 2 alone, and beside version 1. */
const UNIFIED_MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
const MEMORY_MOUNT = '/sys/fs/cgroup/memory'

/** Undefined: the groups of this process cannot be read. */
export function findCgroupFiles(read: ReadText): CgroupFiles | undefined {
  const groups = read('/proc/self/cgroup')
  if (groups === undefined) return undefined
  const levels: Level[] = []
  let stalls: string | undefined
  for (const line of groups.split('\n')) {
    // hierarchy:controllers:path; version 2 is "0::path"
    const match = /^\d+:([^:]*):(.*)$/.exec(line)
    if (match === null) continue
    const controllers = match[1]!
    if (controllers === '') {
      for (const directory of UNIFIED_MOUNTS.flatMap(mount => pathsUp(mount, match[2]!))) {
        if (read(`${directory}/memory.max`) !== undefined) {
          levels.push({
            limit: `${directory}/memory.max`, usage: `${directory}/memory.current`, stat: `${directory}/memory.stat`, statPrefix: '',
          })
        }
        if (stalls === undefined && read(`${directory}/memory.pressure`) !== undefined) stalls = `${directory}/memory.pressure`
      }
    } else if (controllers.split(',').includes('memory')) {
      for (const directory of pathsUp(MEMORY_MOUNT, match[2]!)) {
        const limit = `${directory}/memory.limit_in_bytes`
        if (read(limit) === undefined) continue
        levels.push({ limit, usage: `${directory}/memory.usage_in_bytes`, stat: `${directory}/memory.stat`, statPrefix: 'total_' })
      }
    }
  }
  return { levels, stalls }
}

/**
 * The fullest group with a limit; undefined: none can be read. `limited` is false when no group has a limit. `isComplete` is false
 * when a file has vanished, as after a move to another group: find the files again.
 */
export function readCgroups(
  files: CgroupFiles, read: ReadText,
): { limited: boolean; value: number | undefined; isComplete: boolean } {
  let limited = false
  let value: number | undefined
  let isComplete = true
  for (const level of files.levels) {
    const limitText = read(level.limit)
    const limit = cgroupLimit(limitText)
    if (limit === Infinity) continue
    limited = true
    const usageText = read(level.usage)
    const pressure = cgroupPressure(limit, cgroupUsage(usageText), cgroupFilePages(read(level.stat), level.statPrefix))
    if (limitText === undefined || usageText === undefined) isComplete = false
    if (pressure !== undefined && (value === undefined || pressure > value)) value = pressure
  }
  return { limited, value, isComplete }
}

/** A group's directory and those above it, up to the mount. In a container the path may be the host's; then only the mount exists. */
function pathsUp(mount: string, group: string): string[] {
  const parts = group.split('/').filter(part => part !== '' && part !== '..')
  return parts.map((_, i) => [mount, ...parts.slice(0, parts.length - i)].join('/')).concat(mount)
}

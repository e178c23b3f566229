// What this process took from the machine: bytes it wrote, time of all its threads, its largest RSS; and whether it is at rest.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const isLinux = process.platform === 'linux'
const POLL_MS = 50
const QUIET_MS = 400
/** Of one core; below it the process is at rest: the poll itself, a timer of a store. */
const QUIET_CPU_SHARE = 0.1

/** Bytes handed to the file system as the kernel accounts them, pages made dirty again while still dirty counting once. */
export function writtenBytes() {
  if (!isLinux) return undefined
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'latin1'))[1])
  } catch {
    return undefined // Some containers do not show it.
  }
}

export function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Lets `peakRssBytes` begin again from now; without Linux it is the peak since the start. */
export function resetPeakRss() {
  try {
    if (isLinux) writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Not permitted: the peak is that of the whole run.
  }
}

/** Mapped files count, as the kernel counts them. */
export function peakRssBytes() {
  if (!isLinux) return process.resourceUsage().maxRSS * 1024
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]) * 1024
}

/** Bytes that a directory has on disk; holes do not count. */
export function diskBytes(directory) {
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { blocks, size } = statSync(join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false }) ?? { blocks: 0, size: 0 }
    bytes += blocks === undefined ? size : blocks * 512
  }
  return bytes
}

/**
 * Waits until the process neither computes nor writes: the same way to be told for every store that its background work is done.
 * Resolves to the time (performance.now) when it came to rest, or to undefined when it did not within `limitMs`.
 */
export async function rest(limitMs) {
  const deadline = performance.now() + limitMs
  let quietSince = performance.now()
  let cpu = cpuSeconds()
  let written = writtenBytes()
  let at = quietSince
  for (;;) {
    await setTimeout(POLL_MS)
    const now = performance.now()
    const nowCpu = cpuSeconds()
    const nowWritten = writtenBytes()
    if (nowCpu - cpu > QUIET_CPU_SHARE * (now - at) / 1000 || nowWritten !== written) quietSince = now
    cpu = nowCpu
    written = nowWritten
    at = now
    if (now - quietSince >= QUIET_MS) return quietSince
    if (now > deadline) return undefined
  }
}

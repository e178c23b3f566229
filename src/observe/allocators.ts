/**
 * The malloc of this process, and how a program is started under another.
 *
 * Buffers below 4 GiB of a fixed length come from malloc; V8's heap, wasm memory and buffers that can be resized do not. The store keeps
 * its large buffers resizable, so malloc matters for the Buffers of the program. Measured after freeing 200 MiB of 64 KiB Buffers: glibc
 * gives nothing back (+204 MiB), mimalloc 2 little (+160 to 200), jemalloc more than half (+88).
 *
 * Invariant: an allocator that is asked for is used or an error says why not. The system's never takes its place in silence.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import { PRELOADS, findPreload } from '../host/node/allocator.ts'
import type { PreloadName } from '../host/node/allocator.ts'
import { nodeRuntime } from '../host/node/node-runtime.ts'
import type { MallocInUse, ProcessMemory } from '../host/runtime.ts'
import type { Opportunity } from './advice.ts'

export type { PreloadName }
export type { MallocInUse }

/** Memory of the process that nothing known holds. */
const HELD_BYTES = 64 * 1024 * 1024
/** Part of the process's memory. */
const HELD_SHARE = 1 / 3

/**
 * The malloc this process runs with, read from its loaded libraries (Linux).
 * @example
 * ```ts
 * const { name, how } = allocatorInUse()
 * console.log(name, how)
 * ```
 */
export function allocatorInUse(): MallocInUse {
  return nodeRuntime.malloc()
}

/**
 * The environment that starts a program under another malloc, 'jemalloc' or 'mimalloc': `{ LD_PRELOAD: '/usr/lib/.../libjemalloc.so.2' }`.
 * `before`: an LD_PRELOAD to keep behind it. Default: none.
 * @throws SPILLWAY_INVALID_ARGUMENT there is no such allocator
 * @throws SPILLWAY_UNAVAILABLE it is not installed, or this is not Linux; `details` has the Debian `package` and the `searched` folders
 * @example
 * ```ts
 * try {
 *   console.log(preloadEnvironment('jemalloc').LD_PRELOAD)
 * } catch (error) {
 *   console.log((error as Error).message)
 * }
 * ```
 */
export function preloadEnvironment(name: PreloadName, before?: string): { LD_PRELOAD: string } {
  return preloadFrom(name, before, findPreload)
}

/** @internal */
export function preloadFrom(name: PreloadName, before: string | undefined, find: typeof findPreload): { LD_PRELOAD: string } {
  if (!Object.hasOwn(PRELOADS, name)) throw invalidArgument(`there is no allocator ${JSON.stringify(String(name))}, only ${Object.keys(PRELOADS).join(', ')}`)
  const { file, searched } = find(name)
  const { debian } = PRELOADS[name]
  if (file === undefined) {
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `${name} is not installed: it is in none of ${searched.join(', ')}. Install it (Debian, Ubuntu: apt-get install ${debian}), or run without --allocator`,
      { details: { allocator: name, package: debian, searched } },
    )
  }
  return { LD_PRELOAD: before === undefined || before === '' ? file : `${file}:${before}` }
}

/** Throws UNAVAILABLE unless `found`, the malloc of a process started for `name`, is that one. */
export function checkPreloaded(name: PreloadName, found: MallocInUse, file: string): void {
  if (found.name === name) return
  throw new SpillwayError(
    'SPILLWAY_UNAVAILABLE', `${name} is installed as ${file} but was not loaded: a process started with it has ${found.name} (${found.how}). `
      + `Install the package for this architecture (Debian, Ubuntu: ${PRELOADS[name].debian}), or run without --allocator`,
    { details: { allocator: name, package: PRELOADS[name].debian, file, found: found.name } },
  )
}

/** What a process with that memory gains by another malloc. `knownBytes`: leased from budgets, beside V8's heap and external memory. */
export function allocatorOpportunities(malloc: MallocInUse, memory: ProcessMemory, knownBytes: number): Opportunity[] {
  const { rssBytes, heapTotalBytes, externalBytes } = memory
  const held = rssBytes - heapTotalBytes - Math.max(externalBytes, knownBytes)
  if (malloc.name !== 'glibc' || held < HELD_BYTES || held < rssBytes * HELD_SHARE) return []
  return [{
    name: 'allocator that gives memory back', severity: 'medium',
    why: `${formatSize(held)} of ${formatSize(rssBytes)} are held neither by V8's heap nor by Buffers nor by a budget; glibc keeps what freed Buffers took, beside the code of the process`,
    benefit: 'jemalloc gave back more than half of 200 MiB of freed Buffers, glibc nothing', risk: 'another malloc for the whole process; measure with --compare',
    action: { type: 'environment', how: 'npx spillway run --allocator jemalloc app.js' },
  }]
}

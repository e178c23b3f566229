/**
 * Flags and variables that take effect only when a program starts, as measured on Node 20 to 26 (peak memory of stores with a budget
 * of 32 MiB under a flood of writes): `--max-semi-space-size=1` 91 to 67 MiB (20), with `--no-maglev` 106 to 65 (24).
 * `MALLOC_ARENA_MAX=1` 3 to 7 MiB less with glibc. `MALLOC_TRIM_THRESHOLD_` has no effect.
 */
import type { MallocName, Runtime } from '../host/runtime.ts'
import type { Action } from './advice.ts'

export interface StartSetting {
  action: Action & { type: 'flag' | 'environment' }
  benefit: string
  risk: string
}

/** Maximum semi-space by default, in MiB. The young generation takes twice that. */
export function defaultSemiSpaceMb(nodeMajor: number): number {
  return nodeMajor >= 26 ? 32 : nodeMajor >= 24 ? 64 : 16
}

/** The value of a start flag; undefined: it was not given. */
export function flagValue(flags: readonly string[], name: string): number | undefined {
  const normal = flags.map(flag => flag.replaceAll('_', '-'))
  const given = normal.findLast(flag => flag.startsWith(`--${name}=`))
  if (given !== undefined) return Number(given.slice(name.length + 3))
  const at = normal.lastIndexOf(`--${name}`)
  return at === -1 ? undefined : Number(flags[at + 1])
}

export function semiSpaceMb({ nodeMajor, startFlags }: Pick<Runtime, 'nodeMajor' | 'startFlags'>): number {
  return flagValue(startFlags, 'max-semi-space-size') || defaultSemiSpaceMb(nodeMajor)
}

/** What `spillway run --tuned` starts a program with, so that it takes less memory. */
export function startSettings(nodeMajor: number, malloc: MallocName): StartSetting[] {
  const semiSpace = 2 * defaultSemiSpaceMb(nodeMajor)
  const settings: StartSetting[] = [{
    action: { type: 'flag', how: '--max-semi-space-size=1' },
    benefit: `the young generation stays near 2 MiB instead of up to ${semiSpace} MiB`,
    risk: 'more and shorter collections; objects that live a little longer are promoted and wait for a full collection',
  }]
  if (nodeMajor >= 24) {
    settings.push({
      action: { type: 'flag', how: '--no-maglev' },
      benefit: 'about 14 MiB of malloc less, which the compiler Maglev leaves behind',
      risk: 'code runs slower until it is optimized: up to a tenth less of writes a second was measured',
    })
  }
  if (malloc === 'glibc') {
    settings.push({
      action: { type: 'environment', how: 'MALLOC_ARENA_MAX=1' },
      benefit: '3 to 7 MiB that glibc keeps in arenas of other threads',
      risk: 'threads that allocate at once wait for each other',
    })
  }
  return settings
}

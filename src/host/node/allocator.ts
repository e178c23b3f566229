/**
 * The malloc of this process, and the libraries that could replace it. A process chooses its malloc when it starts: another one takes
 * LD_PRELOAD, which `spillway run` sets.
 */
import { readFileSync, readdirSync } from 'node:fs'
import type { MallocInUse, MallocName } from '../runtime.ts'

export type PreloadName = 'jemalloc' | 'mimalloc'

export const PRELOADS: Readonly<Record<PreloadName, { debian: string, pattern: RegExp }>> = {
  jemalloc: { debian: 'libjemalloc2', pattern: /^libjemalloc\.so(\.\d+)*$/ },
  mimalloc: { debian: 'libmimalloc2.0', pattern: /^libmimalloc\.so(\.\d+)*$/ },
}

/** Of a file that is mapped into the process, by name. The first that is found counts: it was loaded to replace the others. */
const MAPPED: readonly [MallocName, RegExp][] = [
  ['jemalloc', /libjemalloc[^/]*\.so/], ['mimalloc', /libmimalloc[^/]*\.so/], ['tcmalloc', /libtcmalloc[^/]*\.so/],
  ['musl', /\/(?:ld-musl-[^/]*|libc\.musl-[^/]*)\.so/], ['glibc', /\/libc(?:\.so\.6|-[\d.]+\.so)/],
]

/** @internal `maps`: /proc/self/maps; undefined: there is none. */
export function mallocOf(maps: string | undefined): MallocInUse {
  if (maps === undefined) return { name: 'system', file: undefined, how: 'this system does not list the libraries of a process, so the malloc is that of the system unless it was replaced' }
  const files = new Set(maps.split('\n').flatMap(line => /\s(\/.*)$/.exec(line)?.[1] ?? []))
  for (const [name, pattern] of MAPPED) {
    for (const file of files) if (pattern.test(file)) return { name, file, how: 'found in /proc/self/maps' }
  }
  return { name: 'system', file: undefined, how: 'no known malloc is in /proc/self/maps: it may be linked into the program' }
}

export function mallocInUse(): MallocInUse {
  return mallocOf(readMaps())
}

function readMaps(): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    return readFileSync('/proc/self/maps', 'utf8')
  } catch {
    return undefined
  }
}

/** Where distributions install libraries. */
function libraryFolders(): string[] {
  const triples = process.arch === 'arm64' ? ['aarch64-linux-gnu'] : process.arch === 'x64' ? ['x86_64-linux-gnu'] : []
  return [...triples.flatMap(triple => [`/usr/lib/${triple}`, `/lib/${triple}`]), '/usr/lib64', '/usr/lib', '/usr/local/lib', '/lib64', '/lib']
}

/** The library of that name; undefined with the folders that were searched: it is not installed. `list` throws for a folder that is not there. */
export function findPreload(
  name: PreloadName, folders: readonly string[] = libraryFolders(), list: (folder: string) => string[] = folder => readdirSync(folder),
): { file: string | undefined, searched: readonly string[] } {
  for (const folder of folders) {
    try {
      // The shortest name that has a version is what programs load.
      const found = list(folder).filter(file => PRELOADS[name].pattern.test(file)).sort((a, b) => Number(!/\d$/.test(a)) - Number(!/\d$/.test(b)) || a.length - b.length)[0]
      if (found !== undefined) return { file: `${folder}/${found}`, searched: folders }
    } catch {
      // That folder does not exist.
    }
  }
  return { file: undefined, searched: folders }
}

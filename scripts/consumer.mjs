// Packs the package, and compiles a program that uses it as users do: every declaration is checked (`skipLibCheck: false`).
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const PROGRAM = `
import { Budget, ConflictError, Snapshot, Spillway, SpillwayError, SpillwayIterator, Transaction } from 'spillway'
import type { BatchOperation, Codec, MemoryReport, OpenOptions, StallEvent, StoreStats, TunerDecision, VerifyReport, WriteOptions } from 'spillway'
import { SpillMap, SpillQueue, SpillSet, externalSort, groupBy, sortLines } from 'spillway/collections'
import type { ExternalSortOptions, SpillMapOptions } from 'spillway/collections'

export async function program(signal: AbortSignal | undefined): Promise<string | undefined> {
  const codec: Codec<number> = { encode: value => new Uint8Array([value]), decode: bytes => bytes[0]! }
  const budget = new Budget('64 MiB')
  const db = await Spillway.open('./data', { budget, durability: 'os' })
  const write: WriteOptions = signal === undefined ? {} : { signal }
  await db.put('a', 'b', write)
  const text: string | undefined = await db.get('a')
  const snapshot: Snapshot = db.snapshot()
  const iterator: SpillwayIterator<[string, string]> = db.iterator({ snapshot, limit: 10 })
  for await (const [key, value] of iterator) text?.concat(key, value)
  for (const [key, value] of db.entriesSync()) text?.concat(key, value)
  const length: number = await db.transaction(async (transaction: Transaction<string, string>) => (await transaction.get('a'))?.length ?? 0)
  const stats: StoreStats = db.stats()
  const report: VerifyReport = await db.verify()
  const memory: MemoryReport = db.memory()
  try {
    await db.close()
  } catch (error) {
    if (error instanceof ConflictError || error instanceof SpillwayError) return error.code
  }
  const map = new SpillMap<string, number>({ budget: '16 MiB' })
  map.set('a', 1)
  for (const [key, value] of map) text?.concat(key, value.toFixed())
  for (const key of new SpillSet<string>().keys()) text?.concat(key)
  new SpillQueue<number>().push(1)
  for await (const item of externalSort([3, 1, 2], { reverse: true })) item.toFixed()
  for await (const [key, values] of groupBy(['a'], { by: (item: string) => item })) text?.concat(String(key), String(values))
  for await (const bytes of sortLines([new Uint8Array(1)])) bytes.subarray(length)
  return [text, stats.background, report.entries, memory.usedBytes, codec.decode(new Uint8Array(1))].join()
}
export type Names = [BatchOperation<string, string>, OpenOptions, StallEvent, TunerDecision, ExternalSortOptions<string>, SpillMapOptions<string, string>]
`

/** How the program may be compiled. Without `@types/node` the names that Node shares with browsers come from elsewhere. */
export const RESOLUTIONS = [
  { name: 'node16', options: { module: 'node16', moduleResolution: 'node16' } },
  { name: 'nodenext', options: { module: 'nodenext', moduleResolution: 'nodenext' } },
  { name: 'bundler', options: { module: 'esnext', moduleResolution: 'bundler' } },
]
export const LIBRARIES = [
  { name: 'with @types/node', options: { lib: ['es2022'], types: ['node'] } },
  { name: 'with lib dom and esnext.disposable', options: { lib: ['es2022', 'dom', 'esnext.disposable'], types: [] } },
]

/** The package as it is published, as a file in that folder: its path. */
export function packed(folder) {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`)
  return join(folder, stdout.trim().split('\n').at(-1))
}

/** A folder in which the package is installed from its file, with these others, by name and place. The caller removes it. */
export function consumerFolder(others) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-consumer-'))
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'spillway'), { recursive: true })
  const { status, stderr } = spawnSync('tar', ['-xzf', packed(folder), '-C', join(modules, 'spillway'), '--strip-components=1'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`tar failed: ${stderr}`)
  for (const [name, place] of Object.entries(others)) cpSync(place, join(modules, name), { recursive: true, dereference: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return folder
}

/** Compile the program in that folder in each of the ways, or, to be quick, in half of them. Returns what is wrong, a text each. */
export function compileConsumer(folder, tsc, isQuick = false) {
  const problems = []
  for (const [i, resolution] of RESOLUTIONS.entries()) {
    for (const [j, library] of LIBRARIES.entries()) {
      if (isQuick && (i + j) % 2 === 1) continue
      const options = { target: 'es2022', strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, ...resolution.options, ...library.options }
      writeFileSync(join(folder, 'program.ts'), PROGRAM)
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['program.ts'] }))
      const { status, stdout, error } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' })
      if (error !== undefined) throw error
      if (status !== 0) problems.push(`${resolution.name}, ${library.name}:\n${stdout.trim().split('\n').slice(0, 10).join('\n')}`)
    }
  }
  return problems
}

/** Compile with the packages this project has installed. */
export function compileInstalled() {
  const modules = join(root, 'node_modules')
  const folder = consumerFolder({ '@types/node': join(modules, '@types/node'), 'undici-types': join(modules, 'undici-types') })
  try {
    return compileConsumer(folder, join(modules, 'typescript/bin/tsc'), true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

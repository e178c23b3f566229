// Compiles programs that use the types, as programs with other settings would.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from './compile.mjs'

/**
 * Compiles scripts/consumer/, programs that use the types, against the built declarations, as programs with other settings would: what the
 * libraries of newer versions add to Map and Set, and whether an optional property may be undefined.
 */
export function types() {
  const sources = readdirSync('scripts/consumer').filter(name => name.endsWith('.ts'))
  const cache = 'node_modules/.cache/spillway-types'
  rmSync(cache, { recursive: true, force: true })
  for (const [lib, exact] of [['es2022', true], ['es2023', false], ['es2024', true], ['es2025', true], ['esnext', true], ['esnext', false]]) {
    const folder = join(cache, `${lib}-${exact ? 'exact' : 'loose'}`)
    mkdirSync(folder, { recursive: true })
    const files = sources.filter(name => exact || !name.includes('.exact.'))
    for (const name of files) writeFileSync(join(folder, name), readFileSync(join('scripts/consumer', name)))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
    const problem = compile(join(folder, 'tsconfig.json'), { target: 'es2022', lib: [lib], exactOptionalPropertyTypes: exact, allowImportingTsExtensions: true }, files)
    if (problem !== undefined) return `${lib}${exact ? '' : ' without exactOptionalPropertyTypes'}: ${problem}`
  }
  return undefined
}

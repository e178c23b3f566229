// Compiles programs against the built declarations: 'spillway' and its subpaths are what package.json exports.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runNode } from './run-node.mjs'

/** Compiles files with a tsconfig.json written beside them, below the root. Returns what is wrong in a few words, or undefined. */
export function compile(config, options, files) {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  const up = '../'.repeat(dirname(config).replaceAll('\\', '/').split('/').length)
  const paths = {}
  for (const [name, target] of Object.entries(exports)) {
    if (target.types) paths[join('spillway', name)] = [`${up}${target.types}`]
  }
  writeFileSync(config, JSON.stringify({
    compilerOptions: { module: 'nodenext', types: ['node'], strict: true, skipLibCheck: true, noEmit: true, paths, ...options },
    files,
  }, undefined, 2))
  return runNode('node_modules/typescript/bin/tsc', '-p', config)
}

// What a result is of: machine, versions, settings.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, totalmem } from 'node:os'
import { MIB, ROCKSDB } from './plan.mjs'

const require = createRequire(import.meta.url)

export function aboutRun({ nodeVersion, stores, budgetMiB, rows, rounds, fileSystem, rocksdbVersion }) {
  return {
    node: nodeVersion,
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    ramMiB: Math.round(totalmem() / MIB),
    kernel: `${process.platform} ${release()}`,
    fileSystem,
    budgetMiB, rows, rounds,
    versions: { ...Object.fromEntries(stores.map(store => [store, versionOf(store)])), [ROCKSDB]: rocksdbVersion },
  }
}

function versionOf(store) {
  if (store === 'spillway') return require('../../package.json').version
  try {
    return JSON.parse(readFileSync(new URL(`../peers/node_modules/${store}/package.json`, import.meta.url), 'utf8')).version
  } catch {
    return undefined
  }
}

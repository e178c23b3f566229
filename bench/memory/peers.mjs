// The stores to compare with live in a package of their own, installed only when asked for.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fromPeers } from './subjects/from-peers.mjs'

export const PEERS = ['classic-level', 'lmdb', 'better-sqlite3']

/** Installs them and returns the names of those that load; `say` is told why others do not. */
export async function installPeers(say) {
  const cwd = fileURLToPath(new URL('../peers/', import.meta.url))
  if (!(await loadable(() => {})).every(Boolean)) {
    say('Installing the peers (npm install in bench/peers) ...')
    const shell = process.platform === 'win32'
    const { status, error } = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd, stdio: 'inherit', shell })
    if (status !== 0) say(`npm install ended with ${error?.message ?? `code ${status}`}`)
  }
  const loads = await loadable((name, error) => say(`${name} is skipped: ${error.message.split('\n')[0]}`))
  return PEERS.filter((_, n) => loads[n])
}

async function loadable(onError) {
  const loads = []
  for (const name of PEERS) {
    try {
      await fromPeers(name)
      loads.push(true)
    } catch (error) {
      onError(name, error)
      loads.push(false)
    }
  }
  return loads
}

// Peers are installed in their own package, bench/peers, so that Spillway itself does not depend on them.
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(fileURLToPath(new URL('../../peers/package.json', import.meta.url)))

export function fromPeers(name) {
  return import(pathToFileURL(require.resolve(name)).href)
}

// Peers are installed in a package of their own, bench/peers, so that nobody else has to.
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(fileURLToPath(new URL('../../peers/package.json', import.meta.url)))

export function fromPeers(name) {
  return import(pathToFileURL(require.resolve(name)).href)
}

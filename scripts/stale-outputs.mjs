// Removes the outputs in dist/ whose sources are gone, so that a renamed source leaves nothing behind.
import { existsSync, readdirSync, rmSync, rmdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The compiler's outputs: `x.ts` becomes `x.js` and `x.d.ts`. */
const OUTPUT = /(?:\.js|\.d\.ts)$/

/** Returns the removed paths, relative to `dist`. `keep`: folders of dist/ that other steps make. */
export function removeStaleOutputs(src, dist, keep = ['types']) {
  const removed = []
  const visit = folder => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      const local = relative(dist, path)
      if (entry.isDirectory()) {
        if (!keep.includes(local)) visit(path)
      } else if (OUTPUT.test(entry.name) && !existsSync(join(src, local.replace(OUTPUT, '.ts')))) {
        rmSync(path)
        removed.push(local.replaceAll('\\', '/'))
      }
    }
    if (folder !== dist && readdirSync(folder).length === 0) rmdirSync(folder)
  }
  if (existsSync(dist)) visit(dist)
  return removed.sort()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const removed = removeStaleOutputs(join(root, 'src'), join(root, 'dist'))
  if (removed.length > 0) console.log(`removed ${removed.length} files from dist/ whose sources are gone: ${removed.slice(0, 4).join(', ')}${removed.length > 4 ? ', ...' : ''}`)
}

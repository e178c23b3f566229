// Puts a directory's files out of the page cache, by asking for each file alone: nothing else of the machine is disturbed.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Throws where it cannot be done: what would be measured then is not cold. */
export function dropPageCache(directory) {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    // Of no block, `nocache` is for the whole file; only pages that are on disk are let go.
    const { status, error, stderr } = spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`cannot put ${path} out of the page cache: ${error?.message ?? stderr}`)
  }
}

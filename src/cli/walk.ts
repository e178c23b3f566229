/** Walks entries in chunks, sized by past entries: bounded memory for large ones, no promise each for small ones. */
import type { IteratorOptions } from '../store/api/options.ts'
import type { Store } from './io.ts'

const CHUNK_BYTES = 256 * 1024
const MAX_ENTRIES = 1000

/** Awaits `pause` between chunks; ends if either callback returns false. Returns true at the end of the range or limit. */
export async function walk(
  store: Store,
  options: IteratorOptions<Uint8Array>,
  entry: (key: Uint8Array, value: Uint8Array) => boolean | void,
  pause?: () => Promise<boolean> | boolean,
): Promise<boolean> {
  const iterator = store.iterator(options)
  try {
    let count = 8
    for (;;) {
      const chunk = await iterator.nextv(count)
      if (chunk.length === 0) return true
      let bytes = 0
      for (const [key, value] of chunk) {
        bytes += key.length + value.length
        if (entry(key, value) === false) return false
      }
      if (pause !== undefined && !await pause()) return false
      const fitting = Math.floor(CHUNK_BYTES * chunk.length / Math.max(1, bytes))
      count = Math.max(1, Math.min(MAX_ENTRIES, fitting, count * 4))
    }
  } finally {
    await iterator.close()
  }
}

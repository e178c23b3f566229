// Values of 1 to 16 MiB, 512 MiB of them, from one reused buffer; some are read back and compared by hash.
//
// What a read hands out is the program's own memory. So that it is in the comparison too, the program makes itself a value
// of that size where the store that does nothing hands out none.
import { createHash } from 'node:crypto'
import { mix } from '../rows.mjs'

const MIB = 1024 * 1024
const MAX_BYTES = 16 * MIB
const READS = 12

export const peers = true

export function volume({ quick }) {
  return { totalBytes: (quick ? 96 : 512) * MIB }
}

export async function run({ open, volume: { totalBytes }, watch, holdsNothing }) {
  const db = await open()
  watch.follow(db)
  const buffer = Buffer.alloc(MAX_BYTES)
  for (let at = 0; at < MAX_BYTES; at += 8) buffer.writeUInt32LE(mix(at), at)
  const written = []
  let worstMs = 0
  for (let bytes = 0; bytes < totalBytes;) {
    const n = written.length
    const length = Math.min(MIB + mix(n + 1) % (MAX_BYTES - MIB + 1), Math.max(MIB, totalBytes - bytes))
    stamp(buffer, n, length)
    const value = buffer.subarray(0, length)
    const before = performance.now()
    await db.put(Buffer.from(`large ${n}`), value)
    worstMs = Math.max(worstMs, performance.now() - before)
    written.push({ length, hash: hashOf(value) })
    bytes += length
    watch.sample()
  }
  for (let read = 0; read < READS; read++) {
    const n = mix(read + 100) % written.length
    const { length, hash } = written[n]
    const value = await db.get(Buffer.from(`large ${n}`))
    if (holdsNothing) {
      hashOf(Buffer.from(buffer.subarray(0, length)))
    } else {
      if (value === undefined) throw new Error(`value ${n} of ${length} bytes is lost`)
      if (value.length !== length || hashOf(value) !== hash) throw new Error(`value ${n} of ${length} bytes came back as others`)
    }
    watch.sample()
  }
  watch.stop()
  await db.close()
  return { values: written.length, worstWriteMs: Math.round(worstMs) }
}

/** Makes the buffer's content another one everywhere, at little cost. */
function stamp(buffer, n, length) {
  for (let at = 4; at + 4 <= length; at += 4096) buffer.writeUInt32LE(mix(n + at), at)
}

function hashOf(value) {
  return createHash('sha1').update(value).digest('hex')
}

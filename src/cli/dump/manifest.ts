/** Dumps a manifest, field by field; a damaged one as plain text. */
import { CorruptionError } from '../../base/errors.ts'
import type { HostFile, HostFiles } from '../../host/host.ts'
import { decodeVersion } from '../../manifest/codec.ts'
import type { Version } from '../../manifest/version.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Account } from '../../memory/budget.ts'
import { damageRecord } from './record.ts'
import type { DumpRecords } from './record.ts'

/** Memory per byte of a manifest: bytes, text, parsed JSON, version. */
const MANIFEST_FACTOR = 6
/** Of a damaged manifest. */
const MAX_SHOWN_BYTES = 1024 * 1024
const LINE_CHARACTERS = 160

export function *manifestRecords(file: HostFile, number: number, files: HostFiles, kernels: Kernels, account: Account): DumpRecords {
  const bytes = file.size()
  const lease = account.lease(MANIFEST_FACTOR * bytes)
  try {
    const content = files.readAll(file.path)
    let version: Version
    try {
      version = decodeVersion(content, number, file.path, kernels)
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      yield { type: 'manifest', file: file.path, number, bytes }
      yield damageRecord(error)
      yield* textRecords(content)
      return
    }
    const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    yield {
      type: 'manifest', file: file.path, number, bytes, format: Number(text.toString('latin1', 0, text.indexOf(10)).split(' ').at(-1)),
      checksum: text.toString('latin1', bytes - 17, bytes - 1),
    }
    yield* versionRecords(version)
  } finally {
    lease.release()
  }
}

function *versionRecords({ runs, ...fields }: Version): DumpRecords {
  for (const [name, value] of Object.entries(fields)) if (name !== 'number') yield { type: 'field', name, value }
  for (const { id, level, tables } of runs) {
    yield { type: 'run', id, level, tables: tables.length }
    for (const table of tables) yield { type: 'runTable', run: id, ...table }
  }
}

function *textRecords(content: Uint8Array): DumpRecords {
  const text = new TextDecoder().decode(content.subarray(0, MAX_SHOWN_BYTES))
  for (const line of text.split('\n')) {
    for (let at = 0; at < line.length; at += LINE_CHARACTERS) yield { type: 'text', text: line.slice(at, at + LINE_CHARACTERS) }
  }
  if (content.length > MAX_SHOWN_BYTES) yield { type: 'note', offset: MAX_SHOWN_BYTES, message: `${content.length - MAX_SHOWN_BYTES} bytes more` }
}

/**
 * Tells what a file is: by its name if that is the name of a store's file, else by its magic bytes. Also finds its number, which seeds
 * its checksums: from the name, or from the file where the name has none or is wrong, so that renamed copies can be read.
 */
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import { parseName } from '../../base/file-names.ts'
import type { HostFile } from '../../host/host.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { readFooter } from '../../table/table-reader.ts'
import { FOOTER_BYTES, decodeFooter, hasMagic } from '../../table/footer.ts'
import { VALUE_FILE_MAGIC, readValueHeader } from '../../table/value-file.ts'
import { SEGMENT_MAGIC, readU32, readU64 } from '../../wal/frame.ts'
import { readSegmentHeader } from '../../wal/log-reader.ts'

export type DumpKind = 'manifest' | 'log' | 'table' | 'value'

export interface Identity {
  kind: DumpKind
  number: number
  /** How name and content disagree. */
  problem?: string
}

export const KIND_NAMES: Readonly<Record<DumpKind, string>> = { manifest: 'manifest', log: 'log segment', table: 'table', value: 'value file' }

const TITLE = 'SPILLWAY MANIFEST '
const HEAD_BYTES = 256

/** Undefined: not a file of a store. `buffer`: for a frame of the log. */
export function identify(file: HostFile, name: string, buffer: Uint8Array, kernels: Kernels): Identity | undefined {
  const named = parseName(name)
  const byName = isKind(named.kind) ? { kind: named.kind, number: named.number } : undefined
  const found = lookInside(file)
  if (byName === undefined) return found
  const told = `by its name this is ${KIND_NAMES[byName.kind]} ${byName.number}, by its content`
  if (found === undefined || found.number === byName.number && found.kind === byName.kind) return byName
  if (found.kind !== byName.kind) return { ...found, problem: `${told} a ${KIND_NAMES[found.kind]}` }
  // The checksum tells which of the two numbers is wrong.
  if (!agrees(file, found, buffer, kernels)) return byName
  return { ...found, problem: `${told} ${KIND_NAMES[found.kind]} ${found.number}` }
}

function isKind(kind: string): kind is DumpKind {
  return kind in KIND_NAMES
}

/** Kind by magic bytes, and the number stored in the file. */
function lookInside(file: HostFile): Identity | undefined {
  const head = new Uint8Array(HEAD_BYTES)
  file.readSync(head, 0, HEAD_BYTES, 0)
  const text = new TextDecoder('latin1').decode(head)
  if (text.startsWith(TITLE)) return { kind: 'manifest', number: Number(/\n\{"number":(\d{1,15}),/.exec(text)?.[1] ?? 0) }
  if (SEGMENT_MAGIC.every((byte, i) => head[i] === byte)) return { kind: 'log', number: orZero(readU64(head, 16)) }
  if (readU32(head, 0) === VALUE_FILE_MAGIC) return { kind: 'value', number: orZero(readU64(head, 8)) }
  const size = file.size()
  const tail = new Uint8Array(FOOTER_BYTES)
  if (size >= FOOTER_BYTES && file.readSync(tail, 0, FOOTER_BYTES, size - FOOTER_BYTES) === FOOTER_BYTES && hasMagic(tail, 0)) {
    return { kind: 'table', number: decodeFooter(tail, 0).fileNumber }
  }
  return undefined
}

function orZero(number: number): number {
  return Number.isSafeInteger(number) ? number : 0
}

/** Whether the checksum that covers the stored number matches. Not checked for a manifest: its checksum covers the whole file. */
function agrees(file: HostFile, { kind, number }: Identity, buffer: Uint8Array, kernels: Kernels): boolean {
  try {
    if (kind === 'log') readSegmentHeader(file, number, file.size(), buffer, kernels)
    if (kind === 'table') readFooter(file, number, kernels)
    if (kind === 'value') readValueHeader(file, number, undefined, kernels)
    return true
  } catch (error) {
    if (error instanceof CorruptionError) return false
    if (error instanceof SpillwayError) return true
    throw error
  }
}

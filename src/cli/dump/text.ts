/** Formats a record of a dump as a line of text or of JSON. */
import { escapeBytes, escapeText, shorten } from '../escape.ts'
import { jsonField } from '../formats/jsonl-writer.ts'
import { countOf } from '../table.ts'
import type { DumpRecord, Operation } from './record.ts'

/** For keys that only mark a range. */
const KEY_COLUMNS = 40
const BLOCK_NAMES = ['', 'data', 'index node', 'filter', 'range tombstones', 'value files', 'properties']

/** Bytes become text, or base64 in a field whose name ends in Base64, as in `export`. */
export function jsonLine(record: DumpRecord): string {
  const fields = Object.entries(record).filter(([, value]) => value !== undefined)
    .map(([name, value]) => value instanceof Uint8Array ? jsonField(name, value) : `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return `{${fields.join(',')}}\n`
}

export function textLine(record: DumpRecord): string {
  return `${textOf(record)}\n`
}

function textOf(record: DumpRecord): string {
  switch (record.type) {
    case 'log': return `log segment ${record.number}${formatText(record)}, ${bytesText(record.bytes)}`
      + (record.mountHash === undefined ? '' : `, mount hash ${record.mountHash}`)
    case 'frame': return `at ${record.offset}: frame of ${bytesText(record.bytes)}, ${seqText(record.firstSeq, record.lastSeq)}, ${countOf(record.operations, 'operation')}, `
      + `${record.syncedBytes === 0 ? 'nothing' : bytesText(record.syncedBytes)} synced${record.continues ? ', the batch goes on' : ''}`
    case 'operation': return `  ${operationText(record)}`
    case 'table': return `table ${record.number}${formatText(record)}, ${bytesText(record.bytes)}`
    case 'properties': return propertiesText(record)
    case 'rangeTombstones': return `${blockText('range tombstones', record)}: ${record.count}`
    case 'rangeTombstone': return `  ${record.seq}  delete range  ${escapeBytes(record.start)} to ${escapeBytes(record.end)}`
    case 'valueFiles': return `${blockText('value files', record)}: ${record.numbers.join(', ')}`
    case 'index': return `${blockText('index node', record)}: level ${record.level}, ${countOf(record.children, 'child', 'children')}`
    case 'filter': return `${blockText('filter', record)}: ${record.probes} bits a key, ${countOf(record.lines, 'line')}`
    case 'block': return blockText(BLOCK_NAMES[record.blockType] ?? `type ${record.blockType}`, record)
    case 'data': return `${blockText('data', record)}${record.rawBytes + 9 === record.bytes ? '' : ` (${record.rawBytes} uncompressed)`}: ${countOf(record.entries, 'entry', 'entries')}, `
      + `${seqText(record.minSeq, record.maxSeq)}, keys ${shortKey(record.firstKey)} to ${shortKey(record.lastKey)}`
    case 'entry': return `  ${operationText(record)}`
    case 'manifest': return `manifest ${record.number}${formatText(record)}, ${bytesText(record.bytes)}${record.checksum === undefined ? '' : `, checksum ${record.checksum}`}`
    case 'field': return `${record.name}: ${typeof record.value === 'object' ? escapeText(JSON.stringify(record.value)) : record.value}`
    case 'run': return `run ${record.id}: level ${record.level}, ${countOf(record.tables, 'table')}`
    case 'runTable': return `  table ${record.fileNumber}: ${bytesText(record.fileBytes)}, ${countOf(record.entries, 'entry', 'entries')}, ${countOf(record.deletes, 'delete')}`
      + (record.seqOffset === undefined ? '' : `, sequence offset ${record.seqOffset}`)
    case 'text': return `  ${escapeText(record.text)}`
    case 'value': return `value file ${record.number}${formatText(record)}, ${bytesText(record.bytes)}`
      + (record.valueBytes === undefined ? '' : `: a value of ${bytesText(record.valueBytes)} in ${countOf(record.pieces!, 'piece')}: ${record.preview}`)
    case 'note': return `Note${record.offset === undefined ? '' : ` at ${record.offset}`}: ${escapeText(record.message)}`
    case 'damage': return `DAMAGED at offset ${record.offset}: ${escapeText(record.message)}`
    case 'end': return record.damaged === 0 ? 'No damage found.' : `DAMAGED: ${countOf(record.damaged, 'place')}.`
  }
}

function operationText({ seq, kind, key, end, valueBytes, preview, valueFile }: Operation): string {
  const head = `${seq}  ${kind}  ${escapeBytes(key)}`
  if (end !== undefined) return `${head} to ${escapeBytes(end)}`
  if (valueFile !== undefined) return `${head}  ${bytesText(valueBytes!)} in value file ${valueFile}`
  return preview === undefined ? head : `${head}  ${valueBytes === undefined ? '' : `${bytesText(valueBytes)}: `}${preview}`.trimEnd()
}

function propertiesText(record: DumpRecord & { type: 'properties' }): string {
  const { firstKey, lastKey, rangeStart, rangeEnd } = record
  const lines = [
    `${blockText('properties', record)}: ${countOf(record.entries, 'entry', 'entries')} in ${countOf(record.blocks, 'block')}, ${countOf(record.deletes, 'delete')}, ${seqText(record.minSeq, record.maxSeq)}`,
    `  keys of ${bytesText(record.keyBytes)}, values of ${bytesText(record.valueBytes)}, ${countOf(record.valueFiles, 'value file')}, ${countOf(record.rangeDeletes, 'range tombstone')}`,
  ]
  if (firstKey !== undefined && lastKey !== undefined) lines.push(`  keys ${escapeBytes(firstKey)} to ${escapeBytes(lastKey)}`)
  if (rangeStart !== undefined && rangeEnd !== undefined) lines.push(`  range tombstones ${escapeBytes(rangeStart)} to ${escapeBytes(rangeEnd)}`)
  return lines.join('\n')
}

function blockText(name: string, { offset, bytes }: { offset: number, bytes: number }): string {
  return `at ${offset}: ${name} of ${bytesText(bytes)}`
}

function formatText({ format }: { format?: number | undefined }): string {
  return format === undefined ? '' : `, format ${format}`
}

function bytesText(bytes: number): string {
  return bytes === 1 ? '1 byte' : `${bytes} bytes`
}

function seqText(first: number, last: number): string {
  return first === last ? `sequence ${first}` : `sequence ${first} to ${last}`
}

function shortKey(key: Uint8Array): string {
  return shorten(escapeBytes(key), KEY_COLUMNS)
}

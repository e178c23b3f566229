/** Writes {"key": ..., "value": ...}, with keyBase64 or valueBase64 for bytes that are not UTF-8. */
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../escape.ts'
import type { ByteOutput, RecordWriter } from './record.ts'

export class JsonlWriter implements RecordWriter {
  readonly #keysOnly: boolean

  constructor(options: { keysOnly?: boolean } = {}) {
    this.#keysOnly = options.keysOnly === true
  }

  begin(): void {}

  write(key: Uint8Array, value: Uint8Array, output: ByteOutput): void {
    const valueField = this.#keysOnly ? '"value":""' : jsonField('value', value)
    output.add(`{${jsonField('key', key)},${valueField}}\n`)
  }
}

/** "key":"text" or "keyBase64":"...". */
export function jsonField(name: string, bytes: Uint8Array): string {
  const buffer = asBuffer(bytes)
  return isUtf8(buffer)
    ? `"${name}":${JSON.stringify(buffer.toString('utf8'))}`
    : `"${name}Base64":"${buffer.toString('base64')}"`
}

export function jsonObject(key: Uint8Array, value?: Uint8Array): Record<string, string> {
  const fields = value === undefined ? jsonField('key', key) : `${jsonField('key', key)},${jsonField('value', value)}`
  return JSON.parse(`{${fields}}`) as Record<string, string>
}

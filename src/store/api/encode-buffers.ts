/**
 * Encodes the keys and values of calls, in the encodings of the call or else of the store.
 *
 * Invariants
 * 1. Calls are synchronous until their waiting part is copied, so one buffer of each kind serves all calls, transactions included.
 * 2. User code that runs while encoding cannot overwrite the buffers: its calls into the store are refused.
 *
 * Account: `encoding`. Cost: no allocation for short text.
 */
import { invalidArgument } from '../../base/errors.ts'
import type { SpillwayError } from '../../base/errors.ts'
import { Scratch, transcoder } from '../../encoding/encoding.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { Settings } from './settings.ts'

const KEY_BYTES = 66 * 1024
const VALUE_BYTES = 200 * 1024

export class EncodeBuffers {
  readonly key = new Scratch(KEY_BYTES)
  readonly value = new Scratch(VALUE_BYTES, true)
  /** For `seek` targets of iterators. */
  readonly target = new Scratch(KEY_BYTES)
  readonly #keys: Transcoder
  readonly #values: Transcoder

  constructor({ key, value }: Settings) {
    this.#keys = key
    this.#values = value
  }

  keys(options: Pick<AnyEncodings, 'keyEncoding'> | undefined): Transcoder {
    return options?.keyEncoding === undefined ? this.#keys : transcoder(options.keyEncoding, 'keyEncoding')
  }

  values(options: Pick<AnyEncodings, 'valueEncoding'> | undefined): Transcoder {
    return options?.valueEncoding === undefined ? this.#values : transcoder(options.valueEncoding, 'valueEncoding')
  }

  /** A codec that calls its own store would overwrite the key or value being encoded. */
  checkReentry(): void {
    if (this.isBusy) throw reentryError()
  }

  get isBusy(): boolean { return this.key.busy || this.value.busy }
}

export function reentryError(): SpillwayError {
  return invalidArgument('a codec called the store it encodes for. Look up what it needs before, and let encode only encode')
}

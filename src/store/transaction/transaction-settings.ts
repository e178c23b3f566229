/** What a transaction begins with: the parts of its store, its options, and the encodings of a call. */
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { isAbortSignal } from '../../base/realms.ts'
import type { StoreState } from '../state/store-state.ts'
import { describe, transcoder } from '../../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
import { checkedDurability } from '../api/settings.ts'
import type { Settings } from '../api/settings.ts'
import type { PointReader } from '../read/point-reader.ts'
import type { StoreParts } from './commit.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { BeginOptions, Durability } from '../api/options.ts'

export const WRITE_OPTIONS: readonly string[] = ['keyEncoding', 'valueEncoding']

/** Shared by all transactions of a store. */
export interface TransactionParts extends StoreParts {
  readonly reader: PointReader
  readonly keyScratch: Scratch
  readonly valueScratch: Scratch
  readonly targetScratch: Scratch
  /** Refuse calls from inside a codec, and commit the pending group to the memtable. */
  readonly settle: () => void
  /** Refuse calls from inside a codec. */
  readonly checkReentry: () => void
  readonly letGo: () => void
  readonly counters: { committed: number, conflicts: number }
}

export interface TransactionSettings {
  durability: Durability
  signal: AbortSignal | undefined
}

/** Check the options of `begin` and `transaction`. */
export function transactionSettings(options: BeginOptions | undefined, { durability: fallback, whyNoDisk }: Pick<Settings, 'durability' | 'whyNoDisk'>): TransactionSettings {
  const signal = options?.signal
  if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument(`signal must be an AbortSignal, not ${describe(signal)}`)
  return { durability: checkedDurability(options?.durability, fallback, whyNoDisk), signal }
}

/** Throws ABORTED when the signal has fired. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new SpillwayError('SPILLWAY_ABORTED', 'the transaction was aborted by its signal; nothing of it was written. Run it again, or allow it more time', { cause: signal.reason })
}

export function keyTranscoder(core: StoreState, options: AnyEncodings | undefined): Transcoder {
  return options?.keyEncoding === undefined ? core.settings.key : transcoder(options.keyEncoding, 'keyEncoding')
}

export function valueTranscoder(core: StoreState, options: AnyEncodings | undefined): Transcoder {
  return options?.valueEncoding === undefined ? core.settings.value : transcoder(options.valueEncoding, 'valueEncoding')
}

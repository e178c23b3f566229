/** Types only: the types of keys and values that follow from the encodings of a store or a call. */
import type { NodeBuffer, OwnNodeBuffer } from '../base/node-buffer.ts'

/** An encoding of your own. `encode` returns bytes or text, `decode` gets bytes it may keep. Neither may call the store. */
export interface Codec<T> {
  name?: string | undefined
  // Properties, not methods, so that a codec for less than T is not taken for one.
  encode: (value: T) => Uint8Array | string
  decode: (bytes: Uint8Array) => T
}

export type EncodingName = 'utf8' | 'buffer' | 'view' | 'json'
export type Encoding<T = any> = EncodingName | Codec<T>

/** The encoding of a call; undefined: the store's. */
export type GivenEncoding = Encoding | undefined

/**
 * The type `E` decodes to: 'utf8' a string, 'buffer' a Buffer, 'view' a Uint8Array, 'json' unknown, a codec its own type.
 * Undefined: `T`.
 */
export type Decoded<E, T = string> =
  E extends undefined ? T
  : E extends 'utf8' ? string
  : E extends 'buffer' ? NodeBuffer
  : E extends 'view' ? Uint8Array
  : E extends 'json' ? unknown
  : E extends { decode: (bytes: any) => infer D } ? D
  : never

/** The type `E` encodes: 'utf8' a string, 'buffer' and 'view' bytes, 'json' anything, a codec its own type. Undefined: `T`. */
export type Encodable<E, T = string> =
  E extends undefined ? T
  : E extends 'utf8' ? string
  : E extends 'buffer' | 'view' ? Uint8Array
  : E extends 'json' ? unknown
  : E extends { encode: (value: infer D) => any } ? D
  : never

/** Encodings that give a `T`: 'utf8' for kinds of strings, 'buffer' and 'view' for bytes, a codec for its own type, 'json' for any. */
export type EncodingOf<T> =
  | 'json' | Codec<T>
  | ([T] extends [string] ? 'utf8' : never)
  | ([T] extends [Uint8Array] ? [OwnNodeBuffer] extends [T] ? 'buffer' : never : never)
  | ([T] extends [Uint8Array] ? [ReturnType<Uint8Array['slice']>] extends [T] ? 'view' : never : never)

/** Encodings for items where no call says the type; for an unknown `T` also those that give nothing more specific. */
export type ItemEncodingOf<T> = EncodingOf<T> | ([unknown] extends [T] ? EncodingName : never)

/** The key encoding of a store with keys `K`; strings need none. */
export type KeyEncodingFor<K> = [K] extends [string] ? { keyEncoding?: EncodingOf<K> | undefined } : { keyEncoding: EncodingOf<K> }
/** The value encoding of a store with values `V`; strings need none. */
export type ValueEncodingFor<V> = [V] extends [string] ? { valueEncoding?: EncodingOf<V> | undefined } : { valueEncoding: EncodingOf<V> }

/** Given encodings. `Codec<any>` gives the parameters of an inline codec their types. */
export type KeyEncodingGiven<KE> = { keyEncoding?: undefined } | { keyEncoding: KE | Codec<any> }
export type ValueEncodingGiven<VE> = { valueEncoding?: undefined } | { valueEncoding: VE | Codec<any> }
export type EncodingsGiven<KE, VE> = KeyEncodingGiven<KE> & ValueEncodingGiven<VE>

/** For the code behind the calls. */
export interface AnyEncodings {
  keyEncoding?: GivenEncoding
  valueEncoding?: GivenEncoding
}

/** The store's encodings apply. */
export interface NoEncodings {
  keyEncoding?: undefined
  valueEncoding?: undefined
}

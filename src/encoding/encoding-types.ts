/**
 * Which types an encoding gives and takes, and which encodings back a type: how the types of keys and values follow the encodings, of a
 * store when it is opened and of a call that has its own. Types only.
 */
import type { NodeBuffer, OwnNodeBuffer } from '../base/node-buffer.ts'

/** A codec of the user's own. `decode` is given bytes that are its to keep. */
export interface Codec<T> {
  name?: string | undefined
  // Properties and not methods, so that a codec for less than T is not taken for one.
  encode: (value: T) => Uint8Array | string
  decode: (bytes: Uint8Array) => T
}

export type EncodingName = 'utf8' | 'buffer' | 'view' | 'json'
export type Encoding<T = any> = EncodingName | Codec<T>

/** An encoding as a call may give it; undefined: that of the store. */
export type GivenEncoding = Encoding | undefined

/** What `E` gives when it is read: 'utf8' a string, 'buffer' a Buffer, 'view' a Uint8Array, 'json' unknown, a codec its own type. Undefined: `T`. */
export type Decoded<E, T = string> =
  E extends undefined ? T
  : E extends 'utf8' ? string
  : E extends 'buffer' ? NodeBuffer
  : E extends 'view' ? Uint8Array
  : E extends 'json' ? unknown
  : E extends { decode: (bytes: any) => infer D } ? D
  : never

/** What `E` takes to be written: 'utf8' a string, 'buffer' and 'view' bytes, 'json' anything, a codec its own type. Undefined: `T`. */
export type Encodable<E, T = string> =
  E extends undefined ? T
  : E extends 'utf8' ? string
  : E extends 'buffer' | 'view' ? Uint8Array
  : E extends 'json' ? unknown
  : E extends { encode: (value: infer D) => any } ? D
  : never

/**
 * The encodings that a `T` may have, because what they give is one: 'utf8' for strings and kinds of strings, 'buffer' and 'view' for the
 * bytes they give, a codec for its own type. 'json' for all: what its values are is what the program says they are.
 */
export type EncodingOf<T> =
  | 'json' | Codec<T>
  | ([T] extends [string] ? 'utf8' : never)
  | ([T] extends [Uint8Array] ? [OwnNodeBuffer] extends [T] ? 'buffer' : never : never)
  | ([T] extends [Uint8Array] ? [ReturnType<Uint8Array['slice']>] extends [T] ? 'view' : never : never)

/** The encodings of what is put in where no call says what comes out: of a `T` that is not known also those of which nothing else is. */
export type ItemEncodingOf<T> = EncodingOf<T> | ([unknown] extends [T] ? EncodingName : never)

/** Of a store whose keys are a `K`: strings need none. */
export type KeyEncodingFor<K> = [K] extends [string] ? { keyEncoding?: EncodingOf<K> | undefined } : { keyEncoding: EncodingOf<K> }
/** Of a store whose values are a `V`: strings need none. */
export type ValueEncodingFor<V> = [V] extends [string] ? { valueEncoding?: EncodingOf<V> | undefined } : { valueEncoding: EncodingOf<V> }

/** Encodings that are given. `Codec<any>` is there for the parameters of a codec that is written where it is given. */
export type KeyEncodingGiven<KE> = { keyEncoding?: undefined } | { keyEncoding: KE | Codec<any> }
export type ValueEncodingGiven<VE> = { valueEncoding?: undefined } | { valueEncoding: VE | Codec<any> }
export type EncodingsGiven<KE, VE> = KeyEncodingGiven<KE> & ValueEncodingGiven<VE>

/** As the code behind the calls has them. */
export interface AnyEncodings {
  keyEncoding?: GivenEncoding
  valueEncoding?: GivenEncoding
}

/** Those of the store count. */
export interface NoEncodings {
  keyEncoding?: undefined
  valueEncoding?: undefined
}

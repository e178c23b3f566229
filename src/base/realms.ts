/**
 * What a value is, whichever realm it was made in: another `node:vm` context, as test runners make, has classes of its own, and
 * `instanceof` knows only those of this one.
 *
 * Cost: `instanceof` for values of this realm.
 */

const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get! as (this: unknown) => unknown

/** A Uint8Array or Buffer. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || tagOf.call(value) === 'Uint8Array'
}

export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return value instanceof ArrayBuffer || Object.prototype.toString.call(value) === '[object ArrayBuffer]' && !ArrayBuffer.isView(value)
}

/** An object literal, or one without a prototype. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === null || prototype === Object.prototype) return true
  // That of another realm: the end of the chain, with what only it has.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf') && Object.hasOwn(prototype, '__lookupGetter__')
}

/** An AbortSignal, also one that a browser's environment brings along. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (value instanceof AbortSignal) return true
  const signal = value as Partial<AbortSignal> | null | undefined
  return typeof signal === 'object' && signal !== null && typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function'
    && typeof signal.removeEventListener === 'function'
}

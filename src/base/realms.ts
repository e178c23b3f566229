/** Type checks across realms: another `node:vm` context, as in test runners, has its own classes, which `instanceof` does not know. */

const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get! as (this: unknown) => unknown

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
  // The root prototype of another realm, recognised by its own property.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf') && Object.hasOwn(prototype, '__lookupGetter__')
}

/** Also of a browser-like environment. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (value instanceof AbortSignal) return true
  const signal = value as Partial<AbortSignal> | null | undefined
  return typeof signal === 'object' && signal !== null && typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function'
    && typeof signal.removeEventListener === 'function'
}

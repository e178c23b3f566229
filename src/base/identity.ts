/**
 * Makes objects with only private state differ in `assert.deepStrictEqual`, which compares own enumerable properties. A symbol,
 * which `Object.keys` and JSON do not see.
 */
export const IDENTITY: unique symbol = Symbol('identity')

let last = 0

export function nextIdentity(): number { return ++last }

const TARGET = {}

/**
 * Base of objects that structuredClone, postMessage and `v8.serialize` must refuse; they would silently make an empty object. V8
 * clones no WeakRef, so these objects are made as WeakRefs, without inheriting from WeakRef.
 */
export const Uncloneable: abstract new () => object = UncloneableObject as never

function UncloneableObject(this: object): object {
  const made = Reflect.construct(WeakRef, [TARGET], new.target as never) as object
  return Object.assign(made, { [IDENTITY]: nextIdentity() })
}

UncloneableObject.prototype = Object.prototype

/**
 * What tells objects apart whose state is private: `assert.deepStrictEqual` and the like compare prototypes and own enumerable properties,
 * of which such objects have none, so that all of a class would be equal. With an identity each equals itself only.
 *
 * Cost: a number an object. It is under a symbol, where neither `Object.keys` nor JSON see it.
 */
export const IDENTITY: unique symbol = Symbol('identity')

let last = 0

export function nextIdentity(): number { return ++last }

/** What every WeakRef below refers to: any object that is always there. */
const TARGET = {}

/**
 * What structuredClone, postMessage and `v8.serialize` refuse ("#<SpillMap> could not be cloned"): of an object like any other they would
 * make an empty one, and all that it stands for would be lost without a word. V8 clones no WeakRef, whatever its prototype, so that is
 * what these are made as. Nothing is inherited, neither of WeakRef nor from here.
 */
export const Uncloneable: abstract new () => object = UncloneableObject as never

function UncloneableObject(this: object): object {
  const made = Reflect.construct(WeakRef, [TARGET], new.target as never) as object
  return Object.assign(made, { [IDENTITY]: nextIdentity() })
}

UncloneableObject.prototype = Object.prototype

import { invalidArgument } from '../base/errors.ts'
import { unknownOption } from '../base/option-names.ts'

/** "No limit" and "off": finite, so that it survives JSON. */
export const UNLIMITED: number = Number.MAX_SAFE_INTEGER

/** Throws INVALID_ARGUMENT for unknown names. */
export function checkNames(strategy: string, options: object, defaults: object): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(defaults, name)) throw unknownOption(name, Object.keys(defaults), `${strategy} compaction has no parameter`, options)
  }
}

/** Throws INVALID_ARGUMENT outside `least` to `most`. */
export function wholeNumber(name: string, value: number | undefined, fallback: number, least: number, most = UNLIMITED): number {
  if (value === undefined) return fallback
  if (value === Infinity && most === UNLIMITED) return UNLIMITED
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    const range = most === UNLIMITED ? `a whole number >= ${least}` : `a whole number from ${least} to ${most}`
    throw invalidArgument(`${name} must be ${range}, not ${value}`, { name, value, least, most })
  }
  return value
}

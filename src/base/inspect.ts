/** Output for `console.log` and `util.inspect`, in the style of Map: one line for objects, the first entries of a collection. */
import type { InspectOptions } from 'node:util'

export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never

export type Inspect = (value: unknown, options: InspectOptions) => string

export interface InspectContext {
  depth: number | null
  options: InspectOptions
  inspect: Inspect
}

/** Entries shown: each may be a disk read. */
const ENTRIES = 10

/** `Name { field: value }`. */
export function inspectFields(target: object, name: string, fields: object, context: InspectContext): string {
  return isTooDeep(context) ? `[${name}]` : `${titleOf(target, name, '')} ${inspectInside(fields, context)}`
}

/** Like `Object [Map] {}`. */
export function inspectPrototype(name: string): string {
  return `Object [${name}] {}`
}

/** Shows read errors: printing must not fail. */
export function inspectEntries(
  target: object, name: string, size: number, entries: () => Iterable<unknown>, collect: (first: unknown[]) => object, context: InspectContext,
): string {
  if (isTooDeep(context)) return `[${name}]`
  const title = titleOf(target, name, `(${size})`)
  const first: unknown[] = []
  const most = Math.min(ENTRIES, context.options.maxArrayLength ?? ENTRIES)
  try {
    if (most > 0) {
      for (const entry of entries()) {
        first.push(entry)
        if (first.length >= most) break
      }
    }
  } catch (error) {
    return `${title} { <${(error as Error).message}> }`
  }
  const shown = inspectInside(collect(first), context).replace(/^\w+\(\d+\) (?=[{[])/, '')
  const rest = size - first.length
  return `${title} ${rest > 0 ? withRest(shown, rest) : shown}`
}

function isTooDeep({ depth }: InspectContext): boolean {
  return depth !== null && depth < 0
}

function inspectInside(value: object, { depth, options, inspect }: InspectContext): string {
  return inspect(value, { ...options, depth, maxArrayLength: null, customInspect: true })
}

/** Both names for a derived class, as for Map. */
function titleOf(target: object, name: string, size: string): string {
  const own = (target.constructor as { name?: unknown } | undefined)?.name
  return typeof own === 'string' && own !== '' && own !== name ? `${own}${size} [${name}]` : `${name}${size}`
}

function withRest(shown: string, rest: number): string {
  const more = `... ${rest} more item${rest === 1 ? '' : 's'}`
  const [open, close] = [shown.at(0), shown.at(-1)]
  if (shown.length === 2) return `${open} ${more} ${close}`
  const isWrapped = shown.endsWith(`\n${close}`)
  return isWrapped ? `${shown.slice(0, -2)},\n  ${more}\n${close}` : `${shown.slice(0, -2)}, ${more} ${close}`
}

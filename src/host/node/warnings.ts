/** Node warnings: on stderr, or to listeners of `process.on('warning')`. */

/** Of this thread. */
const told = new Set<string>()

export function warnOnce(code: string, message: string, key: string = code): void {
  if (told.has(key)) return
  told.add(key)
  process.emitWarning(message, { type: 'SpillwayWarning', code })
}

/** Node warnings: on stderr, or to listeners of `process.on('warning')`. */

/** Of this thread. */
const told = new Set<string>()

export function warnOnce(code: string, message: string): void {
  if (told.has(code)) return
  told.add(code)
  process.emitWarning(message, { type: 'SpillwayWarning', code })
}

/**
 * The place in the program that called into this package, as "name (file:line:column)".
 *
 * Frames of this package and of Node are passed over. In a bundle, where the program and the package are one file, they cannot be told
 * apart: then the first frames are named, innermost first.
 *
 * Cost: 15 to 30 us. The trace is formatted at once: unformatted it would hold the objects on the stack.
 */

/** Own frames can be 10 deep: a collection over a scratch store. */
const FRAMES = 16
const MAX_LENGTH = 240
const BUNDLED_FRAMES = 4
export const UNKNOWN_SITE = 'an unknown place'

interface StackLimit { stackTraceLimit?: number | undefined }

/** The folder of this package in stack traces; '' in a bundle; undefined: not looked yet. */
let ownFolder: string | undefined

export function callSite(): string {
  const stack = currentStack()
  if (stack === undefined) return UNKNOWN_SITE
  ownFolder ??= folderOf(stack)
  return siteIn(stack, ownFolder)
}

/** Undefined where the program has made stack traces unavailable. */
function currentStack(): string | undefined {
  const limit = (Error as StackLimit).stackTraceLimit
  try {
    ;(Error as StackLimit).stackTraceLimit = FRAMES
    const { stack } = new Error('site')
    return typeof stack === 'string' ? stack : undefined
  } catch {
    return undefined
  } finally {
    try {
      ;(Error as StackLimit).stackTraceLimit = limit
    } catch {
      // Error is frozen, so it has not changed.
    }
  }
}

/** @internal The folder above this file's, from the first frame, which is in this file: "at currentStack (folder/memory/call-site.js:1:2)". */
export function folderOf(stack: string): string {
  const frame = framesOf(stack)[0] ?? ''
  const end = frame.search(/[/\\]memory[/\\]call-site\.[jt]s:/)
  return end === -1 ? '' : frame.slice(frame.indexOf(' (') + 2, end)
}

/** @internal The first frame outside `folder`; its tests count as outside. */
export function siteIn(stack: string, folder: string): string {
  if (folder === '') return short(framesOf(stack).filter(frame => !isEngine(frame)).slice(0, BUNDLED_FRAMES).map(nameOf).join(' < '))
  for (let at = stack.indexOf('\n    at '); at !== -1;) {
    const end = stack.indexOf('\n', at + 1)
    const frame = stack.slice(at + 5, end === -1 ? undefined : end)
    const inside = frame.indexOf(folder)
    if ((inside === -1 || !/[/\\]/.test(frame[inside + folder.length] ?? '') || TESTS.test(frame)) && !isEngine(frame)) return short(nameOf(frame))
    at = end
  }
  return UNKNOWN_SITE
}

const TESTS = /\.test\.[jt]s:|[/\\]testing[/\\]/

/** Of Node or V8 itself. */
function isEngine(frame: string): boolean {
  return frame.includes('(node:') || frame.startsWith('at node:') || frame.startsWith('at async node:') || frame.endsWith('<anonymous>)') || frame.endsWith('<anonymous>')
}

function framesOf(stack: string): string[] {
  return stack.split('\n').map(line => line.trim()).filter(line => line.startsWith('at '))
}

function nameOf(frame: string): string {
  return frame.replace(/^at /, '').replace('file://', '')
}

function short(site: string): string {
  return site === '' ? UNKNOWN_SITE : site.length <= MAX_LENGTH ? site : `${site.slice(0, MAX_LENGTH)}...`
}

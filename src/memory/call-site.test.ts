import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callSite, folderOf, siteIn, UNKNOWN_SITE } from './call-site.ts'

const OWN = 'file:///app/node_modules/spillway/dist'
const STACK = `Error: site
    at currentStack (${OWN}/memory/call-site.js:30:23)
    at new IteratorResources (${OWN}/store/scan/iterator-resources.js:30:40)
    at Spillway.iterator (${OWN}/store/spillway.js:100:1)
    at new Promise (<anonymous>)
    at node:internal/process/task_queues:95:5
    at async readAll (file:///app/my (old) server.mjs:12:20)
    at file:///app/main.mjs:3:1`

test('the site is the first frame outside the package and outside Node', () => {
  assert.equal(folderOf(STACK), OWN)
  assert.equal(siteIn(STACK, OWN), 'async readAll (/app/my (old) server.mjs:12:20)')
  assert.equal(siteIn(STACK.replace(/.*readAll.*\n/, ''), OWN), '/app/main.mjs:3:1')
  const windows = STACK.replaceAll('/', '\\').replaceAll('file:\\\\\\', 'C:\\')
  assert.equal(siteIn(windows, folderOf(windows)), 'async readAll (C:\\app\\my (old) server.mjs:12:20)')
})

test('in a bundle the first frames are named, and a stack without frames is unknown', () => {
  const bundled = STACK.replaceAll(`${OWN}/memory/call-site.js`, 'file:///app/bundle.js')
  assert.equal(folderOf(bundled), '')
  assert.match(siteIn(bundled, ''), /^currentStack \(.*\) < new IteratorResources .* < async readAll /)
  assert.equal(siteIn('Error: site', OWN), UNKNOWN_SITE)
  assert.ok(siteIn(`Error\n at f (file:///${'x'.repeat(5000)}:1:1)`, OWN).length < 260)
})

test('this file is named whatever the program did to stack traces', () => {
  assert.match(callSite(), /call-site\.test\.js:\d+:\d+\)?$/)
  const limit = Error.stackTraceLimit
  try {
    Error.stackTraceLimit = 0
    assert.match(callSite(), /call-site\.test\.js/)
    assert.equal(Error.stackTraceLimit, 0)
  } finally {
    Error.stackTraceLimit = limit
  }
  Error.prepareStackTrace = () => 42
  try {
    assert.equal(callSite(), UNKNOWN_SITE)
  } finally {
    // Undefined would not be a function.
    delete (Error as { prepareStackTrace?: unknown }).prepareStackTrace
  }
})

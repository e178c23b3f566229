import assert from 'node:assert/strict'
import { test } from 'node:test'
import { profileHeap, sitesOf } from './heap-profile.ts'

const frame = (functionName: string, url: string, lineNumber = 0) => ({ functionName, url, lineNumber, columnNumber: 4 })

test('bytes are summed by place, the largest first', () => {
  const head = { callFrame: frame('(root)', ''), selfSize: 1, children: [
    { callFrame: frame('f', 'file:///app/a.js', 9), selfSize: 10, children: [{ callFrame: frame('', 'file:///app/b.js'), selfSize: 100, children: [] }] },
    { callFrame: frame('f', 'file:///app/a.js', 9), selfSize: 5, children: [] },
  ] }
  assert.deepEqual(sitesOf(head, 2), [{ site: '(anonymous) (/app/b.js:1:5)', bytes: 100 }, { site: 'f (/app/a.js:10:5)', bytes: 15 }])
})

test('the function that allocates is found, also when its objects were collected', () => {
  const profile = profileHeap(16 * 1024)
  let last: unknown
  function allocatesMuch(): void { for (let i = 0; i < 500_000; i++) last = { i, list: [i] } }
  allocatesMuch()
  const sites = profile.read(5)
  profile.stop()
  assert.ok(last !== undefined)
  assert.match(sites[0]!.site, /^allocatesMuch \(.*heap-profile\.test\.js:\d+:\d+\)$/)
  assert.ok(sites[0]!.bytes > 5_000_000, JSON.stringify(sites))
})

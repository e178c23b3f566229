import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import type { OpenHandle, OpenHandles } from './open-handles.ts'
import { watchHandles } from './watch-handles.ts'

function listOf(size: number | string = '64 MiB') {
  const budget = new Budget(size)
  const time = { ms: 0 }
  return { budget, time, list: watchHandles(budget, () => time.ms) }
}

function handlesOf(list: OpenHandles): OpenHandle[] {
  const all: OpenHandle[] = []
  for (let member = list.first; member !== undefined; member = member.after) all.push(member.value)
  return all
}

test('the list of a budget is shared by its users, leased as a whole and given back by the last', () => {
  const { budget, list } = listOf()
  assert.equal(budget.handles, list)
  assert.equal(watchHandles(budget, () => 0), list)
  assert.equal(budget.account('profiler').bytes, 512 * 1024)
  const open = list.open('snapshot', {})!
  list.release()
  assert.equal(budget.handles, list)
  list.release()
  assert.equal(budget.handles, undefined)
  assert.equal(budget.usedBytes, 0)
  // What is closed after the list has ended is fine.
  open.close()
})

test('a budget without room refuses with the numbers, or, where the list is optional, goes without', () => {
  const budget = new Budget('16 KiB')
  assert.throws(() => watchHandles(budget, () => 0), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.equal(watchHandles(budget, () => 0, true), undefined)
  assert.equal(budget.usedBytes, 0)
})

test('handles beyond the lease are counted, not kept', () => {
  const { list } = listOf('1 MiB')
  const open = Array.from({ length: list.maxHandles + 5 }, () => list.open('block', {}))
  assert.equal(open.filter(handle => handle === undefined).length, 5)
  assert.deepEqual([list.size, list.unlisted], [list.maxHandles, 5])
  for (const handle of open) handle?.close()
  assert.equal(list.size, 0)
  assert.notEqual(list.open('block', {}), undefined)
})

test('a handle is named after the line that opened it; of many in one second every 64th is', () => {
  const { list, time } = listOf()
  for (let i = 0; i < 256; i++) list.open('iterator', {})
  const here = list.open('snapshot', {})!
  assert.match(here.site!.name, /open-handles\.test\.js:\d+:\d+\)?$/)
  const sites = handlesOf(list).filter(handle => handle.kind === 'iterator').map(handle => handle.site)
  assert.equal(sites.filter(site => site !== undefined).length, 24 + 4)
  assert.equal(new Set(sites).size, 2)
  time.ms = 1000
  assert.notEqual(list.open('iterator', {})!.site, undefined)
})

test('places are bounded too', () => {
  const { list } = listOf('1 MiB')
  const opened = Array.from({ length: list.maxSites + 2 }, (_, i) => {
    const open = new Function('list', `${'\n'.repeat(i)}return list.open('block', {})`) as (list: OpenHandles) => OpenHandle
    return open(list)
  })
  assert.equal(opened.filter(handle => handle.site === undefined).length, 2)
  assert.equal(list.sites.size, list.maxSites)
})

test('a use is seen at the next look, and counts for what the handle reads at', () => {
  const { list, time } = listOf()
  const snapshot = list.open('snapshot', { uses: 0 })!
  const subject = { uses: 0 }
  const iterator = list.open('iterator', subject, snapshot)!
  time.ms = 50_000
  list.look()
  assert.deepEqual([snapshot.usedMs, iterator.usedMs], [0, 0])
  subject.uses++
  time.ms = 60_000
  list.look()
  assert.deepEqual([snapshot.usedMs, iterator.usedMs], [60_000, 60_000])
})

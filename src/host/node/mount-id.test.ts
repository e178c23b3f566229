import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { bootId } from './limits.ts'
import { mountId } from './mount-id.ts'

const isLinux = process.platform === 'linux'

test('a mount is known by its boot, its device and its file system, and stays the same', { skip: !isLinux }, () => {
  const { dev } = statSync('.', { bigint: true })
  const id = mountId(dev)
  assert.ok(id.startsWith(bootId()))
  assert.equal(mountId(dev), id)
  const hasDevice = existsSync(`/sys/dev/block/${dev >> 8n & 0xfffn}:${dev & 0xffn}`)
  assert.match(id, hasDevice ? /^[0-9a-f-]{36} device:\d+/ : /^[0-9a-f-]{36}/)
})

test('where there is no block device the boot alone counts', { skip: !isLinux }, () => {
  assert.equal(mountId(statSync('/proc', { bigint: true }).dev), bootId())
})

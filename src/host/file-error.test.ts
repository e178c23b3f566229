import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainError, reviveError, SpillwayError } from '../base/errors.ts'
import { errorCode, fileError, isOutOfDescriptors } from './file-error.ts'
import { quotaError } from './sim/sim-faults.ts'

test('a quota that is used up has a code, though the runtime knows none, in another thread too', () => {
  const error = quotaError('write', '/a')
  assert.equal(error.code, 'UNKNOWN')
  assert.equal(errorCode(error), 'EDQUOT')
  assert.equal(errorCode(reviveError(structuredClone(plainError(error)))), 'EDQUOT')
  assert.equal(errorCode(fileError('ENOSPC', 'write', '/a')), 'ENOSPC')
  assert.equal(errorCode(new Error('no code')), '')
  assert.equal(errorCode(undefined), '')
})

test('want of descriptors is known, from its cause too', () => {
  assert.equal(isOutOfDescriptors(fileError('EMFILE', 'open', '/a')), true)
  assert.equal(isOutOfDescriptors(new SpillwayError('SPILLWAY_UNAVAILABLE', 'no worker', { details: { code: 'ENFILE' } })), true)
  assert.equal(isOutOfDescriptors(fileError('EIO', 'open', '/a')), false)
  assert.equal(isOutOfDescriptors(undefined), false)
})

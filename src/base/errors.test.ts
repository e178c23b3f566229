import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptionError, SpillwayError, invalidArgument, plainError, reviveError } from './errors.ts'

/** As it comes out at the other end of a message between threads. */
function sent(error: unknown): Error {
  return reviveError(structuredClone(plainError(error)))
}

test('an error has a code, details and its cause', () => {
  const cause = new Error('disk on fire')
  const error = new SpillwayError('SPILLWAY_NO_SPACE', 'no space', { cause, details: { bytes: 7 } })
  assert.ok(error instanceof Error)
  assert.deepEqual([error.name, error.code, error.message], ['SpillwayError', 'SPILLWAY_NO_SPACE', 'no space'])
  assert.deepEqual([error.cause, error.details], [cause, { bytes: 7 }])
  const bare = new SpillwayError('SPILLWAY_CLOSED', 'closed')
  assert.deepEqual(bare.details, {})
  assert.equal('cause' in bare, false)
})

test('a corruption names file and offset, and says what to do', () => {
  const error = new CorruptionError('/db/00000001.table', 4096, 'the checksum does not match', { details: { block: 3 } })
  assert.ok(error instanceof SpillwayError)
  assert.deepEqual([error.name, error.code], ['CorruptionError', 'SPILLWAY_CORRUPTION'])
  assert.deepEqual(error.details, { file: '/db/00000001.table', offset: 4096, block: 3 })
  assert.match(error.message, /^\/db\/00000001\.table at offset 4096: the checksum does not match\. Restore the store's directory from a backup;/)
})

test('an invalid argument may come with details', () => {
  assert.deepEqual(invalidArgument('no').details, {})
  const error = invalidArgument('no', { limit: 5 })
  assert.deepEqual([error.code, error.details], ['SPILLWAY_INVALID_ARGUMENT', { limit: 5 }])
})

test('errors of the store survive a message between threads, with code, class, details and where they were raised', () => {
  const errors = [
    new SpillwayError('SPILLWAY_FENCED', 'fenced', { details: { epoch: 3, key: Uint8Array.of(1) } }),
    new CorruptionError('f', 1, 'bad'),
    invalidArgument('no'),
  ]
  for (const error of errors) {
    const revived = sent(error) as SpillwayError
    assert.equal(revived instanceof CorruptionError, error instanceof CorruptionError)
    assert.ok(revived instanceof SpillwayError)
    assert.deepEqual([revived.name, revived.code, revived.message], [error.name, error.code, error.message])
    assert.deepEqual([revived.details, revived.stack], [error.details, error.stack])
  }
})

test('other errors survive it with name, message, code and stack', () => {
  const error = Object.assign(new RangeError('too far'), { code: 'ERR_OUT_OF_RANGE' })
  const revived = sent(error) as Error & { code?: string }
  assert.deepEqual([revived.name, revived.message, revived.code, revived.stack], ['RangeError', 'too far', 'ERR_OUT_OF_RANGE', error.stack])
  assert.equal(revived instanceof SpillwayError, false)
  assert.equal('code' in sent(new Error('plain')), false)
})

test('what is no error at all becomes one', () => {
  for (const thrown of ['text', 5, undefined, null, { a: 1 }]) {
    const revived = sent(thrown)
    assert.ok(revived instanceof Error)
    assert.equal(revived.message, String(thrown))
  }
})

test('an error without a stack, or with a code that is no text, is sent all the same', () => {
  const error = Object.assign(new Error('odd'), { code: 5 })
  delete error.stack
  assert.deepEqual(plainError(error), { name: 'Error', message: 'odd' })
  assert.equal(sent(error).message, 'odd')
})

import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import { Kernels } from '../kernels/kernels.ts'
import { fileError } from '../host/file-error.ts'
import type { HostFile, HostFiles } from '../host/host.ts'
import { VALUE_FILE_HEADER_BYTES, VALUE_FILE_PIECE_BYTES } from './value-file-format.ts'
import {
  VALUE_REFERENCE_BYTES, decodeValueReference, encodeValueReference, readValueFile, readValueText, valueFileBytes, valueFileDamage, verifyValueFile,
  writeValueFile, writeValueText,
} from './value-file.ts'

const SEED = 20240609
const PIECE = VALUE_FILE_PIECE_BYTES
const kernels = new Kernels(PIECE)

/** Files in memory, just enough for value files; `failAt` makes the n-th call of a kind fail. */
class MemoryFiles {
  readonly content = new Map<string, Uint8Array>()
  readonly calls = { write: 0, sync: 0, close: 0 }
  readonly failAt = { write: Infinity, sync: Infinity, close: Infinity }
  open = 0
  largestWrite = 0

  asFiles(): HostFiles { return this as unknown as HostFiles }

  openRead(path: string): HostFile {
    if (!this.content.has(path)) throw fileError('ENOENT', 'open', path)
    return this.#file(path)
  }

  create(path: string): HostFile {
    if (this.content.has(path)) throw fileError('EEXIST', 'open', path)
    this.content.set(path, new Uint8Array(0))
    return this.#file(path)
  }

  remove(path: string): void {
    this.content.delete(path)
  }

  #count(kind: 'write' | 'sync' | 'close', path: string): void {
    if (++this.calls[kind] === this.failAt[kind]) throw fileError('EIO', kind, path)
  }

  #file(path: string): HostFile {
    this.open++
    let closed = false
    const file: Partial<HostFile> = {
      path,
      size: () => this.content.get(path)!.length,
      readSync: (target, offset, length, position) => {
        const bytes = this.content.get(path)!.subarray(position, position + length)
        target.set(bytes, offset)
        return bytes.length
      },
      writeSync: (source, offset, length, position) => {
        this.#count('write', path)
        this.largestWrite = Math.max(this.largestWrite, length)
        const old = this.content.get(path)!
        const grown = new Uint8Array(Math.max(old.length, position + length))
        grown.set(old)
        grown.set(source.subarray(offset, offset + length), position)
        this.content.set(path, grown)
      },
      syncSync: () => this.#count('sync', path),
      close: () => {
        if (!closed) this.open--
        closed = true
        this.#count('close', path)
      },
    }
    return file as HostFile
  }
}

function valueOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = Math.imul(i + seed, 0x9e3779b1) >>> 23
  return bytes
}

function write(value: Uint8Array, fileNumber = 7, durable = false) {
  const memory = new MemoryFiles()
  writeValueFile(memory.asFiles(), 'v', fileNumber, value, kernels, durable)
  assert.equal(memory.open, 0)
  return memory
}

test('values of every length around a piece come back, from files of the size told', () => {
  for (const length of [0, 1, 31, 32, 33, 1000, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 8, 2 * PIECE, 3 * PIECE + 17]) {
    const value = valueOf(length, length)
    const memory = write(value)
    assert.equal(memory.content.get('v')!.length, valueFileBytes(length))
    assert.ok(memory.largestWrite <= PIECE + VALUE_FILE_HEADER_BYTES + 8)
    const back = readValueFile(memory.asFiles(), 'v', 7, length, kernels)
    assert.equal(Buffer.compare(back, value), 0)
    assert.equal(back.buffer.byteLength, length)
    for (const told of [length, undefined]) assert.equal(verifyValueFile(memory.asFiles(), 'v', 7, told, kernels), valueFileBytes(length))
    assert.equal(memory.open, 0)
  }
})

test('any value under any file number comes back', () => {
  console.log(`seed ${SEED}`)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 }), fc.maxSafeInteger(), (value, number) => {
    const fileNumber = Math.abs(number) % 2 ** 48
    const memory = write(value, fileNumber)
    assert.equal(Buffer.compare(readValueFile(memory.asFiles(), 'v', fileNumber, value.length, kernels), value), 0)
  }), { seed: SEED, numRuns: 200 })
})

test('text is written as its UTF-8 and read as itself, piece by piece, with characters across the borders of pieces', () => {
  for (const unit of ['a', 'é', '€', '😀']) {
    for (let shift = 0; shift < 4; shift++) {
      const text = 'x'.repeat(shift) + unit.repeat(Math.ceil(2.2 * PIECE / Buffer.byteLength(unit))) + '\ud83d'
      const bytes = Buffer.from(text)
      const memory = new MemoryFiles()
      assert.equal(writeValueText(memory.asFiles(), 'v', 7, text, bytes.length, kernels, false), bytes.length)
      assert.ok(memory.largestWrite <= PIECE + VALUE_FILE_HEADER_BYTES + 8)
      assert.deepEqual(memory.content, write(bytes).content, 'the same file as that of the bytes')
      assert.ok(readValueText(memory.asFiles(), 'v', 7, bytes.length, kernels) === bytes.toString(), `${unit} after ${shift}`)
      assert.equal(memory.open, 0)
    }
  }
})

test('bytes that are no UTF-8 are read as text with the same replacements as anywhere', () => {
  const bytes = valueOf(2 * PIECE + 77, 3)
  assert.ok(readValueText(write(bytes).asFiles(), 'v', 7, bytes.length, kernels) === Buffer.from(bytes).toString())
})

test('text of exactly N pieces, empty text, and a wrong declared length give a file that states its content', () => {
  for (const [length, told] of [[0, 0], [PIECE, PIECE], [2 * PIECE, 2 * PIECE], [PIECE + 5, PIECE + 6], [100, 0], [0, 9]] as const) {
    const memory = new MemoryFiles()
    const text = 'z'.repeat(length)
    assert.equal(writeValueText(memory.asFiles(), 'v', 7, text, told, kernels, false), length)
    assert.ok(readValueText(memory.asFiles(), 'v', 7, length, kernels) === text)
    assert.equal(verifyValueFile(memory.asFiles(), 'v', 7, undefined, kernels), valueFileBytes(length))
  }
})

test('a part of an array is written as a value of its own', () => {
  const bytes = valueOf(PIECE + 500, 9)
  const memory = new MemoryFiles()
  writeValueFile(memory.asFiles(), 'v', 7, bytes, kernels, false, 100, PIECE + 200)
  assert.equal(Buffer.compare(readValueFile(memory.asFiles(), 'v', 7, PIECE + 100, kernels), bytes.subarray(100, PIECE + 200)), 0)
})

test('a file is synced when it must be durable, and only then', () => {
  assert.equal(write(valueOf(100, 1), 7, true).calls.sync, 1)
  assert.equal(write(valueOf(100, 1), 7, false).calls.sync, 0)
})

const verifyByHeader: typeof verifyValueFile = (files, path, fileNumber, _lengthBytes, own) => verifyValueFile(files, path, fileNumber, undefined, own)

test('a flipped bit anywhere in the header, in a hash or in the value is corruption that names file and offset', () => {
  const value = valueOf(2 * PIECE + 300, 5)
  const memory = write(value)
  const bytes = memory.content.get('v')!
  const positions: number[] = []
  for (let i = 0; i < VALUE_FILE_HEADER_BYTES; i++) positions.push(i)
  for (let i = 0; i < 8; i++) positions.push(VALUE_FILE_HEADER_BYTES + PIECE + i, bytes.length - 1 - i)
  for (let i = 0; i < 60; i++) positions.push(VALUE_FILE_HEADER_BYTES + ((i * 8951) % (bytes.length - VALUE_FILE_HEADER_BYTES)))
  for (const position of positions) {
    const bit = 1 << (position % 8)
    bytes[position]! ^= bit
    for (const check of [readValueFile, verifyValueFile, verifyByHeader]) {
      assert.throws(() => check(memory.asFiles(), 'v', 7, value.length, kernels), (error) => {
        assert.ok(error instanceof CorruptionError, String(error))
        assert.equal(error.details['file'], 'v')
        const offset = error.details['offset'] as number
        assert.ok(offset <= position && position < offset + PIECE + 8, `flipped at ${position}, told ${offset}`)
        return true
      })
    }
    bytes[position]! ^= bit
  }
  verifyValueFile(memory.asFiles(), 'v', 7, value.length, kernels)
  assert.equal(memory.open, 0)
})

test('every damaged piece is listed, whatever else is', () => {
  const value = valueOf(3 * PIECE + 300, 5)
  const places = [0, 1, 2, 3].map(piece => VALUE_FILE_HEADER_BYTES + piece * (PIECE + 8))
  for (const damaged of [[], [0], [2], [1, 3], [0, 1, 2, 3]]) {
    for (const header of [false, true]) {
      const memory = write(value)
      const bytes = memory.content.get('v')!
      if (header) bytes[9]! ^= 1
      for (const piece of damaged) bytes[places[piece]! + 7]! ^= 1
      const found = valueFileDamage(memory.asFiles(), 'v', 7, kernels, 100)
      assert.deepEqual(found.map(error => error.details['offset']), [...header ? [0] : [], ...damaged.map(piece => places[piece])])
      assert.equal(valueFileDamage(memory.asFiles(), 'v', 7, kernels, 1).length, Math.min(1, found.length))
      assert.equal(memory.open, 0)
    }
  }
  const memory = write(value)
  memory.content.set('v', memory.content.get('v')!.slice(0, PIECE + 100))
  assert.deepEqual(valueFileDamage(memory.asFiles(), 'v', 7, kernels, 100).map(error => error.details['offset']), [PIECE + 100])
  assert.match(valueFileDamage(memory.asFiles(), 'gone', 7, kernels, 100)[0]!.message, /missing/)
})

test('every byte of a small file matters, in each of its bits', () => {
  const value = valueOf(20, 9)
  const memory = write(value)
  const bytes = memory.content.get('v')!
  for (let i = 0; i < bytes.length * 8; i++) {
    bytes[i >> 3]! ^= 1 << (i & 7)
    assert.throws(() => readValueFile(memory.asFiles(), 'v', 7, value.length, kernels), CorruptionError)
    bytes[i >> 3]! ^= 1 << (i & 7)
  }
})

test('a file cut, lengthened, missing, swapped or with its pieces exchanged is corruption', () => {
  const value = valueOf(2 * PIECE, 3)
  const memory = write(value)
  const bytes = memory.content.get('v')!
  const read = (fileNumber = 7, length = value.length) => readValueFile(memory.asFiles(), 'v', fileNumber, length, kernels)
  for (const length of [0, 10, 31, 32, 40, bytes.length - 1]) {
    memory.content.set('v', bytes.slice(0, length))
    assert.throws(() => read(), CorruptionError, `cut at ${length}`)
  }
  memory.content.set('v', Uint8Array.from([...bytes, 0]))
  assert.throws(() => read(), CorruptionError)
  memory.content.delete('v')
  assert.throws(() => read(), /missing/)

  memory.content.set('v', bytes)
  assert.throws(() => read(8), CorruptionError)
  assert.throws(() => read(7, value.length - 1), CorruptionError)
  const exchanged = bytes.slice()
  exchanged.copyWithin(VALUE_FILE_HEADER_BYTES, VALUE_FILE_HEADER_BYTES + PIECE + 8)
  exchanged.set(bytes.subarray(VALUE_FILE_HEADER_BYTES, VALUE_FILE_HEADER_BYTES + PIECE + 8), VALUE_FILE_HEADER_BYTES + PIECE + 8)
  memory.content.set('v', exchanged)
  assert.throws(() => read(), CorruptionError)
  assert.equal(memory.open, 0)
})

test('a wrong length is found out before memory for it is taken', () => {
  const memory = write(valueOf(100, 1))
  assert.throws(() => readValueFile(memory.asFiles(), 'v', 7, Number.MAX_SAFE_INTEGER, kernels), CorruptionError)
})

test('a file that shrinks while it is read is corruption', () => {
  const memory = write(valueOf(1000, 1))
  const files = memory.asFiles()
  const openRead = memory.openRead.bind(memory)
  memory.openRead = (path) => {
    const file = openRead(path)
    file.size = () => valueFileBytes(1000)
    memory.content.set(path, memory.content.get(path)!.slice(0, 500))
    return file
  }
  assert.throws(() => readValueFile(files, 'v', 7, 1000, kernels), /ends after/)
  assert.equal(memory.open, 0)
})

/** Change one byte of the header and make its hash right again. */
function forge(memory: MemoryFiles, position: number, byte: number): void {
  const bytes = memory.content.get('v')!
  bytes[position] = byte
  kernels.memory.set(bytes.subarray(0, 24), kernels.a)
  kernels.hash(kernels.a, 24, 7, 0xffffffff)
  const view = new DataView(bytes.buffer)
  view.setUint32(24, kernels.hashLow, true)
  view.setUint32(28, kernels.hashHigh, true)
}

test('a header that contradicts the reference is corruption, even with a right checksum', () => {
  for (const [position, byte, message] of [[0, 0, /not the file of a value/], [8, 9, /file 9, not 7/], [16, 11, /11 bytes/]] as const) {
    const memory = write(valueOf(10, 1))
    forge(memory, position, byte)
    assert.throws(() => readValueFile(memory.asFiles(), 'v', 7, 10, kernels), (error) => {
      assert.ok(error instanceof CorruptionError)
      assert.match(error.message, message)
      return true
    })
  }
})

test('a file of a newer format is named as such, not as damage', () => {
  const memory = write(valueOf(10, 1))
  forge(memory, 4, 2)
  assert.throws(() => readValueFile(memory.asFiles(), 'v', 7, 10, kernels), { code: 'SPILLWAY_UNAVAILABLE' })
})

test('a write that fails anywhere leaves no file, and the error is the one that happened', () => {
  const value = valueOf(3 * PIECE, 1)
  for (const [kind, at] of [['write', 1], ['write', 3], ['sync', 1], ['close', 1]] as const) {
    const memory = new MemoryFiles()
    memory.failAt[kind] = at
    assert.throws(() => writeValueFile(memory.asFiles(), 'v', 7, value, kernels, true), { code: 'EIO', syscall: kind })
    assert.equal(memory.content.has('v'), false, `${kind} ${at}`)
    assert.equal(memory.open, 0)
  }
})

test('a file that is there already is left alone', () => {
  const memory = write(valueOf(10, 1))
  assert.throws(() => writeValueFile(memory.asFiles(), 'v', 7, valueOf(20, 2), kernels, false), { code: 'EEXIST' })
  assert.deepEqual(readValueFile(memory.asFiles(), 'v', 7, 10, kernels), valueOf(10, 1))
})

test('references come back, and bytes that are none are refused', () => {
  const bytes = new Uint8Array(40).fill(255)
  for (const [fileNumber, lengthBytes] of [[0, 0], [1, 2], [2 ** 48 - 1, Number.MAX_SAFE_INTEGER], [2 ** 40 + 3, 2 ** 33 + 5]] as const) {
    assert.equal(encodeValueReference(bytes, 5, fileNumber, lengthBytes), 5 + VALUE_REFERENCE_BYTES)
    assert.deepEqual(decodeValueReference(bytes, 5, 5 + VALUE_REFERENCE_BYTES), { fileNumber, lengthBytes })
  }
  assert.equal(bytes[4], 255)
  assert.equal(bytes[5 + VALUE_REFERENCE_BYTES], 255)
  assert.throws(() => decodeValueReference(bytes, 0, VALUE_REFERENCE_BYTES - 1), RangeError)
  assert.throws(() => decodeValueReference(bytes, 30, 30 + VALUE_REFERENCE_BYTES), RangeError)
  assert.throws(() => decodeValueReference(new Uint8Array(14).fill(255), 0, 14), RangeError)
  for (const fileNumber of [-1, 1.5, 2 ** 48, NaN]) assert.throws(() => encodeValueReference(bytes, 0, fileNumber, 1), SpillwayError)
  for (const length of [-1, 0.5, 2 ** 53]) assert.throws(() => encodeValueReference(bytes, 0, 1, length), SpillwayError)
})

test('kernels with small regions are refused', () => {
  const small = new Kernels(1000)
  assert.throws(() => writeValueFile(new MemoryFiles().asFiles(), 'v', 1, valueOf(10, 1), small, false), RangeError)
  assert.throws(() => readValueFile(write(valueOf(10, 1)).asFiles(), 'v', 7, 10, small), RangeError)
})

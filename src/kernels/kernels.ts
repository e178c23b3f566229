/**
 * LZ4 (block format) and XXH64 in WebAssembly, and their memory.
 *
 * Invariants
 * 1. An instance's memory never grows (`bytesFor`) and is freed only when the instance is collected, so make few and keep them.
 * 2. Every range is checked before the call, and wasm stays inside, whatever the bytes.
 * 3. Output depends on the input alone.
 * 4. Behind the regions lies the arena for merges (`merge-kernel.ts`).
 *
 * Cost: a call takes 3 to 5 ns plus its work. The module is compiled once per thread.
 */
import { SpillwayError } from '../base/errors.ts'
import { KERNELS_WASM } from './wasm.ts'

/** As in assembly/layout.ts. */
const RESULT = 1024
const REGIONS = 2048 + 16384

const PAGE_BYTES = 65536
/** Far below 2^31, so that sums of two ranges cannot overflow in wasm. */
const MAX_REGION_BYTES = 512 * 1024 * 1024

/** Maximum length of an LZ4 block. */
export function compressBound(length: number): number {
  return length + Math.floor(length / 255) + 16
}

/** The worst case, rounded up to 64 bytes. */
function regionStride(regionBytes: number): number {
  return Math.ceil(compressBound(regionBytes) / 64) * 64
}

export class Kernels {
  /** Regions, a 16 KiB table and the arena, rounded up to 64 KiB pages. */
  static bytesFor(regionBytes: number, arenaBytes = 0): number {
    return Math.ceil((REGIONS + 2 * regionStride(regionBytes) + arenaBytes) / PAGE_BYTES) * PAGE_BYTES
  }

  /** Throws UNAVAILABLE when an instance cannot be made now. */
  static checkRoom(): void {
    newMemory(1)
  }

  readonly memory: Uint8Array
  /** Start of region a; both regions hold `compressBound(regionBytes)` bytes. */
  readonly a: number
  readonly b: number
  readonly regionBytes: number
  /** The last hash, as unsigned halves. */
  hashHigh = 0
  hashLow = 0

  readonly #end: number
  readonly #result: Uint32Array
  /** Used parts of the arena, ascending. */
  readonly #taken: { from: number, to: number }[] = []
  /** @internal For merges, which guarantee the addresses. */
  readonly exports: KernelExports

  /**
   * `regionBytes`: 1 to 512 MiB; the largest input to compress at once. `arenaBytes`: for all merges together. Throws UNAVAILABLE
   * without WebAssembly or address space.
   */
  constructor(regionBytes: number, arenaBytes = 0) {
    if (!(Number.isInteger(regionBytes) && regionBytes > 0 && regionBytes <= MAX_REGION_BYTES)) {
      throw new RangeError(`a kernel region of ${regionBytes} bytes: must be a whole number from 1 to ${MAX_REGION_BYTES}`)
    }
    const pages = Kernels.bytesFor(regionBytes, arenaBytes) / PAGE_BYTES
    const memory = newMemory(pages)
    this.memory = new Uint8Array(memory.buffer)
    this.#result = new Uint32Array(memory.buffer, RESULT, 2)
    this.exports = new WebAssembly.Instance(compiledModule(), { env: { memory } }).exports
    this.regionBytes = regionBytes
    this.a = REGIONS
    this.b = REGIONS + regionStride(regionBytes)
    this.#end = this.b + regionStride(regionBytes)
  }

  /** XXH64 of memory[start, start + length), left in `hashHigh` and `hashLow`. */
  hash(start: number, length: number, seedHigh: number, seedLow: number): void {
    if (!(start >= this.a && length >= 0 && start + length <= this.#end)) throw outside(start, length)
    this.exports.hash(start, length, seedHigh, seedLow)
    this.hashHigh = this.#result[1]!
    this.hashLow = this.#result[0]!
  }

  /** Returns the length of the LZ4 block, 0: more than `capacity` (the output is then undefined). No overlap. */
  compress(from: number, length: number, to: number, capacity: number): number {
    this.#check(from, length, to, capacity)
    return this.exports.compress(from, length, to, capacity)
  }

  /**
   * Returns the decompressed length, -1: malformed or longer than `capacity`. Output beyond the result is undefined. Safe on any
   * bytes.
   */
  decompress(from: number, length: number, to: number, capacity: number): number {
    this.#check(from, length, to, capacity)
    return this.exports.decompress(from, length, to, capacity)
  }

  /** `dataBlockProblem` for memory[start, end). Safe on any bytes. */
  isSoundBlock(start: number, end: number): boolean {
    if (!(start >= this.a && end >= start && end <= this.#end)) throw outside(start, end - start)
    return this.exports.isSoundBlock(start, end) !== 0
  }

  /** Set the bits of a filter (table/filter/filter.ts): `lines` lines of 64 zero bytes at `to`, and `count` hashes on a multiple of 4. */
  fillFilter(hashes: number, count: number, to: number, lines: number, probes: number): void {
    this.#check(hashes, 4 * count, to, 64 * lines)
    if (lines > 0) this.exports.fillFilter(hashes, count, to, lines, probes)
  }

  /** Returns a multiple of 64; -1: no such piece. */
  takeArena(bytes: number): number {
    const size = Math.ceil(bytes / 64) * 64
    let from = this.#end
    let i = 0
    for (; i < this.#taken.length && this.#taken[i]!.from - from < size; i++) from = this.#taken[i]!.to
    if (from + size > this.memory.length) return -1
    this.#taken.splice(i, 0, { from, to: from + size })
    return from
  }

  giveArena(from: number): void {
    const i = this.#taken.findIndex(piece => piece.from === from)
    if (i < 0) throw new RangeError(`nothing of the kernel arena was taken at ${from}`)
    this.#taken.splice(i, 1)
  }

  // Written so that NaN fails too.
  #check(from: number, length: number, to: number, capacity: number): void {
    if (!(from >= this.a && length >= 0 && from + length <= this.#end)) throw outside(from, length)
    if (!(to >= this.a && capacity >= 0 && to + capacity <= this.#end)) throw outside(to, capacity)
    if (from < to + capacity && to < from + length) {
      throw new RangeError(`the ranges at ${from} (${length} bytes) and ${to} (${capacity} bytes) overlap`)
    }
  }
}

function newMemory(pages: number): { readonly buffer: ArrayBuffer } {
  if (typeof WebAssembly === 'undefined') {
    throw new SpillwayError('SPILLWAY_UNAVAILABLE', 'checksums and compression need WebAssembly, which this process does not have. Run it without --jitless')
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages })
  } catch (cause) {
    const message = `no WebAssembly memory of ${pages * PAGE_BYTES / 1024} KiB can be made (${(cause as Error).message}): V8 reserves 10 GiB of addresses for each. Raise the limit of addresses (ulimit -v), or run Node.js with --disable-wasm-trap-handler`
    throw new SpillwayError('SPILLWAY_UNAVAILABLE', message, { cause })
  }
}

function outside(start: number, length: number): RangeError {
  return new RangeError(`${length} bytes at ${start} are not within the kernel regions`)
}

export interface KernelExports {
  hash(start: number, length: number, seedHigh: number, seedLow: number): void
  compress(from: number, length: number, to: number, capacity: number): number
  decompress(from: number, length: number, to: number, capacity: number): number
  isSoundBlock(start: number, end: number): number
  fillFilter(hashes: number, count: number, to: number, lines: number, probes: number): void
  addEntry(
    state: number, key: number, keyLength: number, value: number, valueLength: number, seq: number, kind: number, shared: number,
    isFirst: boolean, hash: number,
  ): void
  encodeBlock(state: number, at: number): number
  resetBlock(state: number): void
  openBlock(input: number, keyRoom: number, block: number, at: number): void
  openRecords(input: number, at: number, count: number): void
  buildHeap(state: number, size: number): void
  settleTop(state: number, isOver: boolean): void
  merge(state: number): number
  scan(state: number): number
}

let compiled: object | undefined

function compiledModule(): object {
  compiled ??= new WebAssembly.Module(Buffer.from(KERNELS_WASM, 'base64'))
  return compiled
}

/** Not declared by the Node.js types of version 20. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: KernelExports }
}

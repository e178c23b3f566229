/**
 * LZ4 (block format) and XXH64 in WebAssembly, with the memory they work in.
 *
 * 1. An instance's memory is all allocated at construction and never grows: `bytesFor` is what the ledger must hold.
 *    WebAssembly memory is given back only when the instance is collected, so make few and keep them.
 * 2. Every range is checked before wasm sees it, and wasm stays inside the ranges given, whatever the bytes.
 * 3. Output depends on the input alone, not on earlier calls.
 * 4. Behind the regions lies the arena, from which merges take what they hold from one call to the next (`merge-kernel.ts`).
 *
 * Cost: a call takes 3 to 5 ns plus its work. The module is compiled once per thread.
 */
import { SpillwayError } from '../base/errors.ts'
import { KERNELS_WASM } from './wasm.ts'

/** The numbers of assembly/layout.ts: the cell of the last hash, and where the match table ends. */
const RESULT = 1024
const REGIONS = 2048 + 16384

const PAGE_BYTES = 65536
/** Far below 2^31, so that no sum of two ranges overflows in wasm. */
const MAX_REGION_BYTES = 512 * 1024 * 1024

/** The longest LZ4 block `length` bytes can become. */
export function compressBound(length: number): number {
  return length + Math.floor(length / 255) + 16
}

/** A region in memory: room for the worst case, rounded up to 64 bytes. */
function regionStride(regionBytes: number): number {
  return Math.ceil(compressBound(regionBytes) / 64) * 64
}

export class Kernels {
  /** Bytes of wasm memory an instance with these sizes holds: regions, a 16 KiB table and the arena, rounded up to 64 KiB pages. */
  static bytesFor(regionBytes: number, arenaBytes = 0): number {
    return Math.ceil((REGIONS + 2 * regionStride(regionBytes) + arenaBytes) / PAGE_BYTES) * PAGE_BYTES
  }

  /** Throws UNAVAILABLE when one more could not be made now, for a thread that makes its own later. Keeps nothing. */
  static checkRoom(): void {
    newMemory(1)
  }

  /** The whole wasm memory. */
  readonly memory: Uint8Array
  /** Where region a starts; like b it has room for `compressBound(regionBytes)` bytes. */
  readonly a: number
  readonly b: number
  readonly regionBytes: number
  /** The last hash, as unsigned 32-bit halves. */
  hashHigh = 0
  hashLow = 0

  readonly #end: number
  readonly #result: Uint32Array
  /** Taken from the arena: [from, to), ascending. */
  readonly #taken: { from: number, to: number }[] = []
  /** @internal What merges call; whoever does vouches for the addresses. */
  readonly exports: KernelExports

  /**
   * `regionBytes`: 1 to 512 MiB; the largest input to compress at once. `arenaBytes`: what merges may hold, all together. Throws UNAVAILABLE where
   * there is no WebAssembly, or no room among the process's addresses.
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

  /**
   * Compress memory[from, from + length) to `to` as an LZ4 block; returns its length, or 0 when it would not fit in
   * `capacity` bytes (bytes in [to, to + capacity) are then undefined). The ranges may not overlap.
   */
  compress(from: number, length: number, to: number, capacity: number): number {
    this.#check(from, length, to, capacity)
    return this.exports.compress(from, length, to, capacity)
  }

  /**
   * Decompress the LZ4 block memory[from, from + length) to `to`; returns its length, or -1 when it is malformed or
   * longer than `capacity`. Bytes in [to, to + capacity) beyond the result are undefined. Safe on any bytes.
   */
  decompress(from: number, length: number, to: number, capacity: number): number {
    this.#check(from, length, to, capacity)
    return this.exports.decompress(from, length, to, capacity)
  }

  /** Whether memory[start, end) is a data block whose structure holds (`dataBlockProblem`). Safe on any bytes. */
  isSoundBlock(start: number, end: number): boolean {
    if (!(start >= this.a && end >= start && end <= this.#end)) throw outside(start, end - start)
    return this.exports.isSoundBlock(start, end) !== 0
  }

  /** Set the bits of a filter (table/filter/filter.ts): `lines` lines of 64 bytes at `to`, all zero, and `count` hashes on a multiple of 4. */
  fillFilter(hashes: number, count: number, to: number, lines: number, probes: number): void {
    this.#check(hashes, 4 * count, to, 64 * lines)
    if (lines > 0) this.exports.fillFilter(hashes, count, to, lines, probes)
  }

  /** So many bytes of the arena, on a multiple of 64; -1 when there is no such piece. */
  takeArena(bytes: number): number {
    const size = Math.ceil(bytes / 64) * 64
    let from = this.#end
    let i = 0
    for (; i < this.#taken.length && this.#taken[i]!.from - from < size; i++) from = this.#taken[i]!.to
    if (from + size > this.memory.length) return -1
    this.#taken.splice(i, 0, { from, to: from + size })
    return from
  }

  /** Give back what `takeArena` returned. */
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

/** The part of the WebAssembly API used here: the Node.js types of version 20 do not declare it. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: KernelExports }
}

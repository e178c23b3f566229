/** Types of Buffers that also compile without `@types/node`, where they are Uint8Arrays. */

/** Any Buffer. */
export type NodeBuffer = typeof globalThis extends { Buffer: { isBuffer(value: any): value is infer Bytes } } ? Bytes : Uint8Array

/** One with memory of its own, which newer types distinguish. */
export type OwnNodeBuffer = typeof globalThis extends { Buffer: { alloc(size: number): infer Bytes } } ? Bytes : Uint8Array

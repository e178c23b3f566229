/** Types of Buffers that also compile without `@types/node`, as Uint8Arrays. */

export type NodeBuffer = typeof globalThis extends { Buffer: { isBuffer(value: any): value is infer Bytes } } ? Bytes : Uint8Array

/** With memory of its own, which newer types distinguish. */
export type OwnNodeBuffer = typeof globalThis extends { Buffer: { alloc(size: number): infer Bytes } } ? Bytes : Uint8Array

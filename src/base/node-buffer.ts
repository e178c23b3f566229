/** The types of Buffers, for declarations that programs without `@types/node` read too: there they are the Uint8Arrays that Buffers are. */

/** Any Buffer. */
export type NodeBuffer = typeof globalThis extends { Buffer: { isBuffer(value: any): value is infer Bytes } } ? Bytes : Uint8Array

/** One with memory of its own, which newer types tell from others. */
export type OwnNodeBuffer = typeof globalThis extends { Buffer: { alloc(size: number): infer Bytes } } ? Bytes : Uint8Array

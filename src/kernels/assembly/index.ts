/** Exports of the module; the memory is imported. */
export { hash } from './xxh64'
export { compress } from './lz4-compress'
export { decompress } from './lz4-decompress'
export { addEntry, encodeBlock, resetBlock } from './block'
export { isSoundBlock } from './block-check'
export { fillFilter } from './filter'
export { openBlock, openRecords } from './input'
export { buildHeap, merge, settleTop } from './merge'
export { scan } from './scan'

/** End of the static data, checked by the build to be below RESULT. */
export function staticEnd(): usize {
  return __heap_base
}
